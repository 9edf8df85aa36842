package provision

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/juju/charm/v12"
	"github.com/juju/juju/core/life"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// inside is set, to the cluster's kubeconfig, where the tests run in the network of a lab.
const inside = "PROVISION_INSIDE"

// TestMain runs the tests twice: outside, where it brings up a lab of its own and starts itself inside it, and inside.
func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" {
		os.Exit(m.Run())
	}
	if err := outside(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func outside() error {
	dir, err := os.MkdirTemp("", "provision")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program, state := filepath.Join(dir, "lab"), filepath.Join(dir, "state")
	build := exec.Command("go", "build", "-o", program, "./cmd/lab")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the lab: %w\n%s", err, out)
	}
	lab := func(args ...string) error {
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "LAB_DIR="+state, inside+"="+filepath.Join(state, "pki", "admin.kubeconfig"))
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		return cmd.Run()
	}
	if err := lab("up"); err != nil {
		return err
	}
	self, err := os.Executable()
	if err == nil {
		err = lab(append([]string{"exec", "--net", "--", self}, os.Args[1:]...)...)
	}
	return errors.Join(err, lab("down"))
}

// cluster is a controller with one model, kept in step with a lab's cluster.
type cluster struct {
	*testing.T
	c *model.Controller
	m *model.Model
	p *Provisioner
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	kubeconfig := os.Getenv(inside)
	c := model.New()
	p, err := New(c, Settings{
		Kubeconfig: kubeconfig, ControllerUUID: c.UUID, ControllerAddresses: []string{"10.44.0.1:1"}, CACert: "no certificate",
		OperatorImage: "lab.local/jujud-operator:3.6.0", CharmBaseImage: "lab.local/charm-base:22.04", Log: t.Logf,
	})
	require.NoError(t, err)
	out := &cluster{T: t, c: c, p: p}
	out.update(func() { out.m = c.AddModel(fmt.Sprintf("provision-%d", os.Getpid()), "admin") })
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		_ = p.client.CoreV1().Namespaces().Delete(context.Background(), out.m.Name, metav1.DeleteOptions{})
	})
	return out
}

func (k *cluster) update(change func()) {
	_ = k.c.Update(func() error {
		change()
		return nil
	})
}

// until waits for something to become true of the model and the application's StatefulSet, nil if there is none.
func (k *cluster) until(what string, holds func(*appsv1.StatefulSet) bool) (set *appsv1.StatefulSet) {
	k.Helper()
	require.Eventually(k, func() bool {
		have, err := k.p.client.AppsV1().StatefulSets(k.m.Name).Get(context.Background(), "meter", metav1.GetOptions{})
		if err != nil {
			have = nil
		}
		ok := false
		k.c.View(func() { ok = holds(have) })
		set = have
		return ok
	}, 50*time.Second, 100*time.Millisecond, what)
	return set
}

func meter(t *testing.T) *model.App {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"metadata.yaml": "name: meter\nsummary: s\ndescription: d\ncontainers:\n  meter:\n    resource: meter-image\n" +
			"resources:\n  meter-image:\n    type: oci-image\n",
		"manifest.yaml": "bases:\n- name: ubuntu\n  channel: 22.04/stable\n  architectures: [amd64]\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	read, err := charm.ReadCharmDir(dir)
	require.NoError(t, err)
	return &model.App{
		Name: "meter", Charm: &model.Charm{Charm: read},
		Resources: map[string]model.Resource{"meter-image": {Name: "meter-image", Path: "lab.local/multimeter:lab"}},
	}
}

func scaled(n int32) func(*appsv1.StatefulSet) bool {
	return func(s *appsv1.StatefulSet) bool { return s != nil && *s.Spec.Replicas == n }
}

// An application's life: deployed, trusted, changed, scaled both ways, and gone without a trace.
func TestApplication(t *testing.T) {
	k := newCluster(t)
	ctx := context.Background()
	app := meter(t)
	k.update(func() { k.c.Deploy(k.m, app, 1) })
	set := k.until("deployed", scaled(1))
	namespace, err := k.p.client.CoreV1().Namespaces().Get(ctx, k.m.Name, metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, k.m.UUID, namespace.Annotations["model.juju.is/id"])
	require.Nil(t, set.Spec.Template.Spec.SecurityContext.FSGroup, "no group unless the charm asks for a user")
	require.Equal(t, "charm", set.Spec.Template.Spec.Containers[0].Name)
	workload := set.Spec.Template.Spec.Containers[1]
	require.Equal(t, "lab.local/multimeter:lab", workload.Image)
	require.NotNil(t, workload.StartupProbe)
	require.Zero(t, workload.LivenessProbe.InitialDelaySeconds)
	secret, err := k.p.client.CoreV1().Secrets(k.m.Name).Get(ctx, "meter-application-config", metav1.GetOptions{})
	require.NoError(t, err)
	k.until("known in the model", func(*appsv1.StatefulSet) bool {
		u := k.m.Units["meter/0"]
		return app.Address != "" && u.Address != "" && u.ProviderID == "meter-0"
	})
	require.Equal(t, app.Password, string(secret.Data["JUJU_K8S_APPLICATION_PASSWORD"]))

	require.False(t, k.mayEverything(), "not trusted yet")
	k.update(func() { app.Trust = true })
	require.Eventually(t, k.mayEverything, 10*time.Second, 100*time.Millisecond)

	// A port opened by a unit shows on the service, and starts no pod anew.
	generation := k.until("there", scaled(1)).Generation
	k.update(func() { k.m.Units["meter/0"].Ports = []string{"8080/tcp"} })
	require.Eventually(t, func() bool {
		service, err := k.p.client.CoreV1().Services(k.m.Name).Get(ctx, "meter", metav1.GetOptions{})
		return err == nil && len(service.Spec.Ports) == 1 && service.Spec.Ports[0].Port == 8080
	}, 10*time.Second, 100*time.Millisecond)
	require.Equal(t, generation, k.until("there", scaled(1)).Generation)

	// Another image and a second unit in one go: one new template, and the scale all the same.
	k.update(func() {
		app.Resources["meter-image"] = model.Resource{Name: "meter-image", Path: "lab.local/multimeter:other"}
		app.ModifiedVersion++
		k.c.SetScale(k.m, app, 2)
	})
	set = k.until("refreshed and scaled", func(s *appsv1.StatefulSet) bool {
		return scaled(2)(s) && s.Spec.Template.Spec.Containers[1].Image == "lab.local/multimeter:other"
	})
	require.Equal(t, generation+2, set.Generation, "the template once, the scale once")

	// A unit that dies keeps its pod until its agent is done.
	k.update(func() {
		k.m.Units["meter/1"].Agent = model.StatusNow("idle", "")
		k.c.SetScale(k.m, app, 1)
	})
	require.Equal(t, life.Dying, k.m.Units["meter/1"].Life)
	time.Sleep(time.Second)
	k.until("still two", scaled(2))
	k.update(func() { k.m.Units["meter/1"].Life = life.Dead })
	k.until("one left", func(s *appsv1.StatefulSet) bool { return scaled(1)(s) && k.m.Units["meter/1"] == nil })

	k.update(func() { k.c.DestroyApp(k.m, app, false) })
	k.until("removed", func(s *appsv1.StatefulSet) bool { return s == nil && len(k.m.Apps) == 0 })
	require.Eventually(t, func() bool {
		_, err := k.p.client.RbacV1().ClusterRoles().Get(ctx, k.m.Name+"-meter", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}, 10*time.Second, 100*time.Millisecond, "nothing is left outside the namespace")

	k.update(func() { delete(k.c.Models, k.m.UUID) })
	require.Eventually(t, func() bool {
		_, err := k.p.client.CoreV1().Namespaces().Get(ctx, k.m.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}, 60*time.Second, 200*time.Millisecond, "the namespace goes with its model")
}

func (k *cluster) mayEverything() bool {
	role, err := k.p.client.RbacV1().ClusterRoles().Get(context.Background(), k.m.Name+"-meter", metav1.GetOptions{})
	if err != nil {
		return false
	}
	for _, rule := range role.Rules {
		if len(rule.Resources) == 1 && rule.Resources[0] == "*" && rule.Verbs[0] == "*" {
			return true
		}
	}
	return false
}
