package node

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// Inside is the lab's first process: it makes mounts and network, starts everything as its children, and then only reaps.
// It does not return.
func Inside(lab where.Lab) error {
	if err := mounts(lab); err != nil {
		return err
	}
	if out, err := exec.Command("sh", lab.Path("etc", "network.sh")).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot make the network: %w\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, p := range append(programs(lab), []program{
		{"advertise", []string{self, "advertise"}},
		{"inet", []string{"ip", "netns", "exec", "inet", self, "inet"}},
		{"vpn", []string{"ip", "netns", "exec", "vpn", self, "vpn"}},
	}...) {
		if p.name == "images" {
			if err := importImages(lab); err != nil {
				return err
			}
			continue
		}
		if err := start(lab, p); err != nil {
			return fmt.Errorf("cannot start %s: %w", p.name, err)
		}
	}
	if err := os.WriteFile(lab.Path("inside-up"), nil, 0o644); err != nil {
		return err
	}
	for {
		// Everything whose parent has ended comes here, containers' shims above all.
		if _, err := syscall.Wait4(-1, nil, 0, nil); errors.Is(err, syscall.ECHILD) {
			time.Sleep(time.Second)
		}
	}
}

// mounted are the usual paths of the node's programs, by the folder of the lab's that they find there.
var mounted = map[string]string{
	"containerd": "/var/lib/containerd", "kubelet": "/var/lib/kubelet", "varlibcni": "/var/lib/cni", "cni": "/etc/cni/net.d",
	"podlog": "/var/log/pods", "containerlog": "/var/log/containers",
}

// mountPoints are the folders of this machine's that must be there for that, the innermost first.
func mountPoints() []string {
	return append(slices.Sorted(maps.Values(mounted)), "/etc/cni")
}

// mounts gives the node's programs their usual paths without leaving anything on this machine.
func mounts(lab where.Lab) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot make the mounts private: %w", err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""); err != nil { // among ourselves: mount propagation into pods
		return fmt.Errorf("cannot share the mounts: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("cannot mount /proc: %w", err)
	}
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("cannot mount /run: %w", err)
	}
	for _, dir := range []string{"/run/netns", "/run/lock", "/run/containerd"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for from, to := range mounted {
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(lab.Path(from), to, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("cannot mount %s: %w", to, err)
		}
	}
	return nil
}

type program struct {
	name string
	argv []string
}

// programs of the node in the order in which they start. "images" stands for the import, which needs containerd and must
// be over before the kubelet looks.
func programs(lab where.Lab) []program {
	hk := func(args ...string) []string { return append([]string{lab.Program("hk")}, args...) }
	kubeconfig := func(user string) string { return lab.Path("pki", user+".kubeconfig") }
	controlPlane := hk("control-plane", lab.Path("etcd"), "2379", "--",
		// The manifests say where it is, so that a story can let it move.
		"--etcd-servers=http://127.0.0.1:2379", "--bind-address=0.0.0.0", "--secure-port=6443", "--advertise-address="+where.APIServer, "--endpoint-reconciler-type=none",
		"--service-cluster-ip-range="+where.Services+","+where.Services6, "--allow-privileged=true",
		"--tls-cert-file="+lab.Path("pki/apiserver.crt"), "--tls-private-key-file="+lab.Path("pki/apiserver.key"), "--client-ca-file="+lab.Path("pki/ca.crt"),
		"--token-auth-file="+lab.Path("pki/tokens.csv"), "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local", "--service-account-key-file="+lab.Path("pki/sa.pub"),
		"--service-account-signing-key-file="+lab.Path("pki/sa.key"), "--kubelet-preferred-address-types=InternalIP", "--profiling=false",
		"--audit-policy-file="+lab.Path("etc/audit.yaml"), "--audit-log-path="+lab.Path("log/audit.log"),
		"--",
		"--kubeconfig="+kubeconfig("kcm"), "--bind-address=127.0.0.1", "--leader-elect=false", "--use-service-account-credentials=true",
		"--service-account-private-key-file="+lab.Path("pki/sa.key"), "--root-ca-file="+lab.Path("pki/ca.crt"),
		"--cluster-cidr="+where.PodCIDR+","+where.PodCIDR6, "--service-cluster-ip-range="+where.Services+","+where.Services6,
		"--allocate-node-cidrs=true", "--node-cidr-mask-size-ipv4=24", "--node-cidr-mask-size-ipv6=64",
		"--kube-api-qps=1000", "--kube-api-burst=2000", // the default of 20 a second costs the first pod four seconds
		"--",
		"--kubeconfig="+kubeconfig("sched"), "--bind-address=127.0.0.1", "--leader-elect=false")
	return []program{
		{"controlplane", controlPlane},
		{"containerd", []string{"containerd", "--config", lab.Path("etc/containerd.toml")}},
		{"images", nil},
		{"kubelet", hk("kubelet", "--config="+lab.Path("etc/kubelet.yaml"), "--kubeconfig="+kubeconfig("kubelet"),
			"--hostname-override="+Name, "--node-ip="+where.NodeIP+","+where.NodeIP6, "--root-dir=/var/lib/kubelet", "--v=2")},
		{"device-plugin", hk("device-plugin", where.TUN)},
		{"kube-proxy", hk("kube-proxy", "--config="+lab.Path("etc/proxy.yaml"))},
		{"netpol", []string{lab.Program("knp"), "--kubeconfig", kubeconfig("netpol"), "--hostname-override", Name, "--disable-nri", "--fail-open=false",
			"--metrics-bind-address", "127.0.0.1:9080"}},
	}
}

// start starts a child of this process, and does not wait for it.
func start(lab where.Lab, p program) error {
	path, err := exec.LookPath(p.argv[0])
	if err != nil {
		return err
	}
	log, err := os.Create(lab.Path("log", p.name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	_, err = os.StartProcess(path, p.argv, &os.ProcAttr{Env: os.Environ(), Files: []*os.File{null, log, log}})
	return err
}

// importImages hands every built image to containerd.
func importImages(lab where.Lab) error {
	for range 200 {
		if _, err := os.Stat("/run/containerd/containerd.sock"); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	archives, err := filepath.Glob(lab.Image("*"))
	if err != nil {
		return err
	}
	for _, a := range archives {
		if out, err := exec.Command("ctr", "-n", "k8s.io", "images", "import", a).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot import %s: %w\n%s", filepath.Base(a), err, out)
		}
	}
	return nil
}
