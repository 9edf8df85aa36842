package vpnk8slib

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// Reader is all that observing needs of Kubernetes. What is not there, or not served at all, is an error for which
// apierrors.IsNotFound holds.
type Reader interface {
	// Get and List decode the API's JSON into a value of the caller's: its own type with the fields it asks for.
	Get(ctx context.Context, ref Ref, into any) error
	List(ctx context.Context, kind, namespace string, into any) error
	// Try asks the API server whether it would make obj, and makes nothing.
	Try(ctx context.Context, obj *Object) error
}

// Kube is the Cluster and the Reader behind one REST client. It knows the few kinds that are needed here and speaks JSON:
// the generated clientset registers every API there is, which doubles a charm's size.
type Kube struct {
	client rest.Interface
	app    string
}

var (
	_ Cluster = Kube{}
	_ Reader  = Kube{}
)

// NewKube makes one. The application is only named in errors; it is the ServiceAccount of the token where config has one.
func NewKube(config *rest.Config) (Kube, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	c := rest.CopyConfig(config)
	c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	c.QPS = -1 // client-go holds a process to 5 requests a second; a hook has a dozen, and ends
	client, err := rest.UnversionedRESTClientFor(c)
	if err != nil {
		return Kube{}, fmt.Errorf("cannot make a Kubernetes client: %w", err)
	}
	return Kube{client: client}, nil
}

// resources are the kinds that are read or written here, and where the API server serves them.
var resources = map[string]struct{ api, plural string }{
	"ConfigMap":           {"/api/v1", "configmaps"},
	gatewayConfigs:        {"/api/v1", "configmaps"},
	"Node":                {"/api/v1", "nodes"},
	"Pod":                 {"/api/v1", "pods"},
	trialPods:             {"/api/v1", "pods"},
	"Secret":              {"/api/v1", "secrets"},
	"Service":             {"/api/v1", "services"},
	"ServiceAccount":      {"/api/v1", "serviceaccounts"},
	"StatefulSet":         {"/apis/apps/v1", "statefulsets"},
	"NetworkPolicy":       {"/apis/networking.k8s.io/v1", "networkpolicies"},
	"ServiceCIDR":         {"/apis/networking.k8s.io/v1", "servicecidrs"},
	"EndpointSlice":       {"/apis/discovery.k8s.io/v1", "endpointslices"},
	"Role":                {"/apis/rbac.authorization.k8s.io/v1", "roles"},
	"RoleBinding":         {"/apis/rbac.authorization.k8s.io/v1", "rolebindings"},
	"Lease":               {"/apis/coordination.k8s.io/v1", "leases"},
	"CiliumNetworkPolicy": {"/apis/cilium.io/v2", "ciliumnetworkpolicies"},
	"CiliumNode":          {"/apis/cilium.io/v2", "ciliumnodes"},
	"IPPool":              {"/apis/crd.projectcalico.org/v1", "ippools"},
}

// gatewayConfigs is the kind by which the ConfigMaps of gateways are listed, of all applications and in all namespaces.
const gatewayConfigs = "GatewayConfig"

// trialPods is the kind by which pods are listed that try an image.
const trialPods = "TrialPod"

// listed are labels: of these kinds only the objects that bear one are listed.
var listed = map[string]string{gatewayConfigs: gatewayLabel, trialPods: trialLabel}

func path(kind, namespace, name string) (string, error) {
	r, ok := resources[kind]
	if !ok {
		return "", fmt.Errorf("kind %s is not known here", kind)
	}
	parts := []string{r.api}
	if namespace != "" {
		parts = append(parts, "namespaces", namespace)
	}
	parts = append(parts, r.plural)
	if name != "" {
		parts = append(parts, name)
	}
	return strings.Join(parts, "/"), nil
}

// Get reads one object.
func (k Kube) Get(ctx context.Context, ref Ref, into any) error {
	return k.read(ctx, "read", ref.String(), ref.Kind, ref.Namespace, ref.Name, into)
}

// List reads every object of a kind in a namespace, or in all of them where it is empty.
func (k Kube) List(ctx context.Context, kind, namespace string, into any) error {
	return k.read(ctx, "list", kind+"s", kind, namespace, "", into)
}

func (k Kube) read(ctx context.Context, verb, object, kind, namespace, name string, into any) error {
	p, err := path(kind, namespace, name)
	if err != nil {
		return fmt.Errorf("cannot %s %s: %w", verb, object, err)
	}
	request := k.client.Get().AbsPath(p)
	if label := listed[kind]; label != "" {
		request = request.Param("labelSelector", label)
	}
	answer := request.Do(ctx)
	if err := answer.Error(); err != nil { // Raw's says "unknown": it does not read what the API server says
		return refused(verb, object, k.app, err)
	}
	raw, err := answer.Raw()
	if err != nil {
		return fmt.Errorf("cannot %s %s: %w", verb, object, err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("cannot %s %s: %w", verb, object, err)
	}
	return nil
}

// Try sends obj as a dry run.
func (k Kube) Try(ctx context.Context, obj *Object) error {
	ref := obj.Ref()
	p, err := path(ref.Kind, ref.Namespace, "")
	if err != nil {
		return fmt.Errorf("cannot try %s: %w", ref, err)
	}
	data, err := json.Marshal(obj)
	if err != nil {
		return fmt.Errorf("cannot try %s: %w", ref, err)
	}
	err = k.client.Post().AbsPath(p).Param("dryRun", "All").SetHeader("Content-Type", "application/json").Body(data).Do(ctx).Error()
	if err != nil {
		return refused("try", ref.String(), k.app, err)
	}
	return nil
}

// Apply reads the live object and sends the intent only where a field of ours is missing, different or too many: an apply
// that changes nothing is a write all the same, with its admission and its audit entry.
func (k Kube) Apply(ctx context.Context, manager string, obj *Object) error {
	want, err := intentOf(obj)
	if err != nil {
		return err
	}
	k.app = want.app()
	var live map[string]any
	err = k.read(ctx, "read", want.ref.String(), want.ref.Kind, want.ref.Namespace, want.ref.Name, &live)
	switch {
	case apierrors.IsNotFound(err) && want.ref.Kind == "StatefulSet":
		return fmt.Errorf("cannot apply %s: it is not there; Juju makes it", want.ref)
	case apierrors.IsNotFound(err) && (want.bare || want.ref.Kind == "Pod" && obj.Spec == nil): // one that has gone needs nothing
		return nil
	case apierrors.IsNotFound(err):
	case err != nil:
		return err
	case want.holdsIn(live):
		return nil
	}
	p, err := path(want.ref.Kind, want.ref.Namespace, want.ref.Name)
	if err != nil {
		return fmt.Errorf("cannot apply %s: %w", want.ref, err)
	}
	data, err := json.Marshal(want.object)
	if err != nil {
		return fmt.Errorf("cannot apply %s: %w", want.ref, err)
	}
	// Strict: a field that the server does not know would be dropped with a warning, and the intent never be true.
	err = k.client.Patch(types.ApplyPatchType).AbsPath(p).Param("fieldManager", manager).Param("force", "true").
		Param("fieldValidation", "Strict").Body(data).Do(ctx).Error()
	if err != nil {
		return refused("apply", want.ref.String(), k.app, err)
	}
	return nil
}

// Delete removes the named object. An absent one, and one whose kind the cluster does not serve, is no error. It looks
// first, because a refused or empty deletion is a write as well.
func (k Kube) Delete(ctx context.Context, ref Ref) error {
	var live seenAccount
	err := k.Get(ctx, ref, &live)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	p, err := path(ref.Kind, ref.Namespace, ref.Name)
	if err != nil {
		return fmt.Errorf("cannot delete %s: %w", ref, err)
	}
	err = k.client.Delete().AbsPath(p).Do(ctx).Error()
	if err != nil && !apierrors.IsNotFound(err) {
		return refused("delete", ref.String(), live.Metadata.Labels[nameLabel], err)
	}
	return nil
}

// notServed says that an object or its whole kind is not there, as opposed to not allowed or not answered.
func notServed(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && apierrors.IsNotFound(err)
}
