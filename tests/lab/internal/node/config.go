package node

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// Name is the node's.
const Name = "lab"

//go:embed files
var files embed.FS

// values are what the files under files/ are filled with.
type values struct {
	Dir, Cgroup, Node                                             string
	Root                                                          string
	NodeIP, NodeIP6, APIServer, PodCIDR, PodCIDR6                 string
	NodePods, NodePods6, PodGateway, PodGateway6                  string
	Services, Services6, ClusterDNS, UplinkIP, UplinkIP6          string
	InetIP, InetIP6, Resolver, World, World6, Probes, VPNEndpoint string
	VPNExit, VPNOtherExit, VPNExit6, VPNEndpoint6                 string
	VPNPort, VPNOtherPort, OpenVPNUDP, OpenVPNTCP                 int
	OpenVPNOtherUDP                                               int
}

func valuesOf(lab where.Lab) values {
	return values{lab.Dir, lab.Cgroup(), Name, lab.Root,
		where.NodeIP, where.NodeIP6, where.APIServer, where.PodCIDR, where.PodCIDR6,
		where.NodePods, where.NodePods6, where.PodGateway, where.PodGateway6,
		where.Services, where.Services6, where.ClusterDNS, where.UplinkIP, where.UplinkIP6,
		where.InetIP, where.InetIP6, where.Resolver, where.World, where.World6, where.Probes, where.VPNEndpoint, where.VPNExit, where.VPNOtherExit, where.VPNExit6, where.VPNEndpoint6,
		where.VPNPort, where.VPNOtherPort, where.OpenVPNUDP, where.OpenVPNTCP, where.OpenVPNOtherUDP}
}

// fill returns one of the files with its values.
func fill(lab where.Lab, name string) ([]byte, error) {
	t, err := template.New(name).Option("missingkey=error").ParseFS(files, "files/"+name)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, valuesOf(lab))
	return out.Bytes(), err
}

// writeConfigs writes every file of the node's programs into the state folder.
func writeConfigs(lab where.Lab) error {
	for _, dir := range []string{"log", "etc", "cni", "cnibin", "mesh", "kubelet", "containerd", "podlog", "containerlog", "varlibcni", "etcd"} {
		if err := os.MkdirAll(lab.Path(dir), 0o755); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{
		"containerd.toml": "etc/containerd.toml", "kubelet.yaml": "etc/kubelet.yaml", "proxy.yaml": "etc/proxy.yaml",
		"network.sh": "etc/network.sh", "cni.conflist": "cni/10-lab.conflist", "manifests.yaml": "etc/manifests.yaml",
		"resolv.conf": "etc/resolv.conf", "audit.yaml": "etc/audit.yaml",
	} {
		data, err := fill(lab, name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(lab.Dir, to), data, 0o644); err != nil {
			return err
		}
	}
	return cniPlugins(lab)
}

// debianPlugins is where Debian keeps the CNI plugins.
const debianPlugins = "/usr/lib/cni"

// cniPlugins makes the folder that the container runtime finds plugins in: Debian's, and the lab's own for the mesh.
func cniPlugins(lab where.Lab) error {
	found, err := os.ReadDir(debianPlugins)
	if err != nil {
		return fmt.Errorf("cannot find the CNI plugins: %w; run: tests/lab/deps.sh", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	links := map[string]string{"mesh": self}
	for _, f := range found {
		links[f.Name()] = filepath.Join(debianPlugins, f.Name())
	}
	for name, to := range links {
		if err := os.Symlink(to, lab.Path("cnibin", name)); err != nil {
			return err
		}
	}
	return nil
}
