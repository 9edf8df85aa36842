package hook

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// ResolvConf is /etc/resolv.conf as this pod's first hook found it. The containers of a pod share that file, and gluetun
// rewrites it: what is discovered from the later text differs from what was discovered before, and the pod would roll for ever.
func ResolvConf() (string, error) {
	return keep(".resolv.conf", func() (string, error) {
		text, err := os.ReadFile("/etc/resolv.conf")
		return string(text), err
	})
}

// keep returns what find found when it was first asked in this pod. Unlike a cache it must not be lost, so that it is an
// error when it cannot be written.
func keep(name string, find func() (string, error)) (string, error) {
	kept, err := os.ReadFile(inPod(name))
	if err == nil {
		return string(kept), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("cannot read what was kept: %w", err)
	}
	found, err := find()
	if err != nil {
		return "", err
	}
	// Whole or not at all: half of it would be kept as well.
	err = os.WriteFile(inPod(name+".new"), []byte(found), 0o600)
	if err == nil {
		err = os.Rename(inPod(name+".new"), inPod(name))
	}
	if err != nil {
		return "", fmt.Errorf("cannot keep what was found: %w", err)
	}
	return found, nil
}

// inPod is a file in the charm's folder: on a volume that begins and ends with the pod, and outlives its containers.
func inPod(name string) string { return filepath.Join(os.Getenv("JUJU_CHARM_DIR"), name) }

const servicesFile = ".services"

// KnownServices are the Services' networks where an earlier hook of this pod had to ask for them with a request that is
// refused: once is enough. Empty where nobody has asked.
func KnownServices() vpnk8slib.CIDRs {
	text, err := os.ReadFile(inPod(servicesFile))
	if err != nil {
		return nil
	}
	known, err := vpnk8slib.ParseCIDRs(string(text))
	if err != nil {
		return nil
	}
	return known
}

// KeepServices keeps those networks where they were found by asking.
func KeepServices(n vpnk8slib.Network) {
	if n.ServicesAsked && n.Services.String() != KnownServices().String() {
		_ = os.WriteFile(inPod(servicesFile), []byte(n.Services.String()), 0o600) // without it the next hook asks again
	}
}
