package images

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// spec is an image, the programs of ours in it (path in the image: program), and what it has of Debian.
type spec struct {
	Image
	programs map[string]string
	root     *debian
}

func specs() []spec {
	base := shellRoot()
	base.texts["etc/os-release"] = "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"\n" // what the agent takes it for
	qbittorrent := shellRoot()
	qbittorrent.programs = append(qbittorrent.programs, "/usr/bin/qbittorrent-nox")
	qbittorrent.folders = append(qbittorrent.folders, "/etc/ssl/certs")
	for _, plugins := range []string{"qt5/plugins/bearer", "qt5/plugins/sqldrivers", "qt6/plugins/tls", "qt6/plugins/sqldrivers"} {
		if folder := "/usr/lib/" + multiarch() + "/" + plugins; exists(folder) { // Qt's version is Debian's choice
			qbittorrent.folders = append(qbittorrent.folders, folder)
		}
	}
	// A second service beside the workload's own: it is started and stopped with it, and shows what the workload could do.
	multimeter := debian{dirs: map[string]fs.FileMode{"tmp": fs.ModeDir | 0o1777}, texts: map[string]string{senderLayer: senderService}}
	qbittorrent.texts[senderLayer] = senderService
	podGateway := netRoot()
	podGateway.programs = append(podGateway.programs, "/usr/sbin/dnsmasq", "/usr/bin/dig")
	podGateway.scripts = "tests/lab/standins/podgateway"
	gluetun := netRoot()
	gluetun.programs = append(gluetun.programs, "/usr/sbin/openvpn")
	gluetun.links["usr/sbin/openvpn2.6"] = "openvpn" // by that name gluetun's image has it
	gluetun.dirs["gluetun"] = fs.ModeDir | 0o755
	return []spec{
		{Image: Image{Name: "lab.local/pause:1", Entrypoint: []string{"/pause"}}, programs: map[string]string{"pause": "pause"}},
		{Image: Image{Name: "lab.local/coredns:1", Entrypoint: []string{"/coredns"}}, programs: map[string]string{"coredns": "coredns"}},
		{Image: Image{Name: "lab.local/plain:lab", Entrypoint: []string{"/usr/bin/probe", "sleep"}}, programs: map[string]string{"usr/bin/probe": "probe"}},
		{Image: Image{Name: "lab.local/multimeter:lab"}, programs: map[string]string{"usr/bin/multimeter": "multimeter", "usr/bin/probe": "probe"}, root: &multimeter},
		{Image: Image{Name: "lab.local/qbittorrent:lab"}, programs: map[string]string{"usr/bin/probe": "probe"}, root: &qbittorrent},
		{Image: Image{Name: "lab.local/vpn-agent:lab"}, programs: map[string]string{"agent": "agent"}},
		// What Juju's own images hold, as far as a unit needs it.
		{Image: Image{Name: where.OperatorImage}, programs: map[string]string{"opt/containeragent": "containeragent", "opt/jujuc": "jujuc", "opt/pebble": "pebble"}},
		{Image: Image{Name: where.CharmBaseImage}, root: &base},
		// Stand-ins for images that cannot be had here.
		{Image: Image{Name: "lab.local/pod-gateway-standin:v1.13.0"}, root: &podGateway},
		{Image: Image{Name: "lab.local/gluetun-standin:v3.41.1", Entrypoint: []string{"/gluetun-entrypoint"}, Env: gluetunEnv},
			programs: map[string]string{"gluetun-entrypoint": "gluetun-standin"}, root: &gluetun},
	}
}

// senderLayer is where Juju's Pebble finds a layer in an image (PEBBLE_COPY_ONCE in the StatefulSet that Juju makes).
const senderLayer = "var/lib/pebble/default/layers/900-lab-sender.yaml"

const senderService = `summary: The lab's, not the charm's
services:
  lab-sender:
    override: replace
    command: /usr/bin/probe send
    startup: enabled
    user-id: 1000
    group-id: 1000
`

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// gluetunEnv is the environment that gluetun's own image sets, as far as its code relies on it.
var gluetunEnv = []string{"VPN_INTERFACE=tun0", "VPN_SERVICE_PROVIDER=private internet access", "VPN_TYPE=openvpn", "WIREGUARD_MTU=1320",
	"HTTP_CONTROL_SERVER_ADDRESS=:8000", "HEALTH_SERVER_ADDRESS=127.0.0.1:9999", "BLOCK_SURVEILLANCE=off",
	"PPROF_BLOCK_PROFILE_RATE=0", "PPROF_MUTEX_PROFILE_RATE=0", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

// Images builds every image.
func Images(_ context.Context, lab where.Lab) error {
	for _, s := range specs() {
		s.files = map[string]string{}
		for to, program := range s.programs {
			s.files[filepath.Clean(to)] = lab.Program(program)
		}
		if err := s.write(lab); err != nil {
			return err
		}
	}
	return nil
}

func (s spec) write(lab where.Lab) error {
	if s.root == nil {
		return s.Write(lab)
	}
	root, err := os.MkdirTemp("", "image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	s.Root = filepath.Join(root, "root")
	if err := s.root.write(lab, s.Root); err != nil {
		return err
	}
	return s.Write(lab)
}

// Resources are the images by the name of the charms' resource or option that they stand for.
func Resources() map[string]string {
	return map[string]string{
		"gluetun-image":     "lab.local/gluetun-standin:v3.41.1",
		"qbittorrent-image": "lab.local/qbittorrent:lab",
		"multimeter-image":  "lab.local/multimeter:lab",
		"vpn-agent-image":   "lab.local/vpn-agent:lab",
		"pod-gateway-image": "lab.local/pod-gateway-standin:v1.13.0",
	}
}
