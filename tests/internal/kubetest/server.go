package kubetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// What the cluster says of its network.
const (
	APIAddress = "10.44.0.1" // as the server announces itself; nothing answers there
	PodCIDR    = "10.42.0.0/24"
	PodCIDR6   = "fd42::/64"
	Services   = "10.43.0.0/16"
	Services6  = "fd43::/112"
	ClusterDNS = "10.43.0.10"
)

const adminToken = "admin"

func start(dir string, p programs) (s *Server, stop func(), err error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, nil, err
	}
	if err := writeKeys(dir); err != nil {
		return nil, nil, err
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	log, err := os.Create(in("log"))
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(p.hk, "control-plane", in("etcd"), strconv.Itoa(ports[0]), "--",
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", ports[0]),
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", ports[1]), "--advertise-address="+APIAddress, "--cert-dir="+in("cert"),
		"--service-cluster-ip-range="+Services+","+Services6, "--allow-privileged=true",
		"--token-auth-file="+in("tokens.csv"), "--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file="+in("sa.pub"), "--service-account-signing-key-file="+in("sa.key"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("cannot start the API server: %w", err)
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	s = &Server{Kubeconfig: in("kubeconfig"), jujus: p.jujusts, admin: &rest.Config{
		Host: fmt.Sprintf("https://127.0.0.1:%d", ports[1]), BearerToken: adminToken, TLSClientConfig: rest.TLSClientConfig{Insecure: true},
		QPS: 1000, Burst: 1000,
	}}
	if err := s.ready(); err != nil {
		text, _ := os.ReadFile(in("log"))
		stop()
		return nil, nil, fmt.Errorf("%w\n%s", err, text[max(0, len(text)-4000):])
	}
	return s, stop, nil
}

// ready waits for the server, and puts into it what a node and a cluster's DNS would.
func (s *Server) ready() (err error) {
	if s.Admin, err = kubernetes.NewForConfig(s.admin); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		if _, err = s.Admin.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err == nil {
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("cannot reach the API server: %w", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Spec: corev1.NodeSpec{PodCIDR: PodCIDR, PodCIDRs: []string{PodCIDR, PodCIDR6}}}
	if _, err := s.Admin.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return err
	}
	dns := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "kube-dns"}, Spec: corev1.ServiceSpec{ClusterIP: ClusterDNS, Ports: []corev1.ServicePort{{Port: 53, Protocol: corev1.ProtocolUDP}}}}
	for {
		// The namespace and the network of the Services are made by the server itself, a moment after it is ready.
		if _, err = s.Admin.CoreV1().Services("kube-system").Create(ctx, dns, metav1.CreateOptions{}); err == nil {
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("cannot make the cluster's DNS: %w", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	file := clientcmdapi.NewConfig()
	file.Clusters["test"] = &clientcmdapi.Cluster{Server: s.admin.Host, InsecureSkipTLSVerify: true}
	file.AuthInfos["test"] = &clientcmdapi.AuthInfo{Token: adminToken}
	file.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "test"}
	file.CurrentContext = "test"
	return clientcmd.WriteToFile(*file, s.Kubeconfig)
}

func writeKeys(dir string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	block := func(kind string, der []byte) []byte {
		var b bytes.Buffer
		_ = pem.Encode(&b, &pem.Block{Type: kind, Bytes: der}) // a buffer takes everything
		return b.Bytes()
	}
	for name, data := range map[string][]byte{
		"sa.key":     block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)),
		"sa.pub":     block("PUBLIC KEY", public),
		"tokens.csv": []byte(adminToken + `,kubernetes-admin,admin,"system:masters"` + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// freePorts finds n ports whose successors are free as well: etcd takes two.
func freePorts(n int) (ports []int, err error) {
	for len(ports) < n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("cannot find a free port: %w", err)
		}
		defer l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		next, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
		if err != nil {
			continue
		}
		defer next.Close()
		ports = append(ports, port)
	}
	return ports, nil
}
