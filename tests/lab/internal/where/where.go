// Package where is the lab's map: every address and every path in one place, for the programs that make it and the tests
// that use it.
package where

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Addresses. Everything lies in networks for documentation or private use, inside namespaces of the lab.
const (
	NodeIP, NodeIP6         = "10.44.0.1", "fd44::1"
	APIServer               = "10.44.0.9" // the control plane's: as if on another machine
	PodCIDR, PodCIDR6       = "10.42.0.0/16", "fd42::/48"
	NodePods, NodePods6     = "10.42.0.0/24", "fd42::/64"
	PodGateway, PodGateway6 = "10.42.0.1", "fd42::1"
	Services, Services6     = "10.43.0.0/16", "fd43::/112"
	APIService              = "10.43.0.1"
	ClusterDNS              = "10.43.0.10"
	Controller              = APIServer + ":17070" // the lab's Juju controller
	TUN                     = "lab.local/tun"      // a device plugin's resource: /dev/net/tun

	// The uplink: what the world sees of the node, and so of a leak.
	UplinkIP, UplinkIP6 = "198.51.100.1", "2001:db8:51::1"
	InetIP, InetIP6     = "198.51.100.2", "2001:db8:51::2"
	Resolver            = "198.51.100.53" // of the pretend internet provider
	// The pretend internet: every address of these networks answers.
	World, World6 = "203.0.113.0/24", "2001:db8:113::/64"
	// Probes is for those who want a destination of their own each: more of the same, of which there are many.
	Probes = "198.18.0.0/15"

	// The VPN provider.
	VPNEndpoint, VPNEndpoint6 = "198.51.100.200", "2001:db8:51::200"
	VPNPort, VPNOtherPort     = 51820, 1637 // the same server at both
	// By OpenVPN: the ports that gluetun takes with Private Internet Access, by UDP the one with ProtonVPN as well, and the one account.
	OpenVPNUDP, OpenVPNTCP       = 1197, 501
	OpenVPNOtherUDP              = 1194
	OpenVPNUser, OpenVPNPassword = "p1234567", "hunter2hunter2"
	VPNServer, VPNServer6        = "10.2.0.1", "fd10:2::1"
	// The provider's end of an OpenVPN tunnel, which its routes name.
	OpenVPNRouterUDP, OpenVPNRouterTCP = "10.2.0.65", "10.2.0.129"
	VPNClient, VPNClient6              = "10.2.0.2", "fd10:2::2"
	VPNSecond, VPNSecond6              = "10.2.0.3", "fd10:2::3"        // of another subscription
	VPNExit, VPNExit6                  = "192.0.2.2", "2001:db8:192::2" // what the world sees of traffic through the tunnel
	VPNOtherExit                       = "192.0.2.3"                    // and, of IPv4, where the provider's other server stands for its first
)

// Juju's own images, which the lab makes from the same programs.
const (
	OperatorImage  = "lab.local/jujud-operator:3.6.0"
	CharmBaseImage = "lab.local/charm-base:ubuntu-24.04"
)

// Lab is one lab's place on disk.
type Lab struct{ Root, Dir string }

// Here finds the repository from the working directory upwards, and the state folder: LAB_DIR, else build/lab in it.
func Here() (Lab, error) {
	dir, err := os.Getwd()
	if err != nil {
		return Lab{}, err
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, ".ci", "run")); err == nil {
			lab := Lab{Root: dir, Dir: filepath.Join(dir, "build", "lab")}
			if d := os.Getenv("LAB_DIR"); d != "" {
				if lab.Dir, err = filepath.Abs(d); err != nil {
					return Lab{}, err
				}
			}
			return lab, nil
		}
	}
	return Lab{}, errors.New("cannot find the repository: run this inside it")
}

// Path is a path in the state folder.
func (l Lab) Path(parts ...string) string { return filepath.Join(append([]string{l.Dir}, parts...)...) }

// Cgroup is the name of this lab's control groups: another folder, another name, so that two labs never meet.
func (l Lab) Cgroup() string {
	return fmt.Sprintf("charmarr-%x", sha256.Sum256([]byte(l.Dir)))[:17]
}

// Cache is a place for something built, outside the tree: named by its content's key, so that no two trees meet in it.
func Cache(parts ...string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cannot find a place for the cache: %w", err)
	}
	path := filepath.Join(append([]string{base, "charmarr-lab"}, parts...)...)
	return path, os.MkdirAll(filepath.Dir(path), 0o755)
}

// Program is where this tree finds a built program: a link into the cache.
func (l Lab) Program(name string) string { return filepath.Join(l.Root, "build", "programs", name) }

// Image is where this tree finds a built image, a docker archive: a link into the cache.
func (l Lab) Image(name string) string { return filepath.Join(l.Root, "build", "images", name+".tar") }

// Link makes a path of this tree lead into the cache, and notes there that it is in use.
func Link(cached, path string) error {
	now := time.Now()
	if err := os.Chtimes(cached, now, now); err != nil {
		return err
	}
	if old, err := os.Readlink(path); err == nil && old == cached {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Symlink(cached, path)
}

// unused is how long something stays in the cache that no tree has built or found.
const unused = 14 * 24 * time.Hour

// Prune takes out of the cache what nobody has used for long.
func Prune() error {
	dir, err := Cache()
	if err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil // another tree prunes as well
		}
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err == nil && time.Since(info.ModTime()) > unused {
			return os.Remove(path)
		}
		return nil
	})
}
