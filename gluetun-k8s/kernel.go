package main

import (
	"errors"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// kernelHas says whether the kernel knows a family of generic netlink's by this name, such as WireGuard's; it loads the module for it, where there
// is one. That is how gluetun asks (its internal/netlink). Where the kernel does not answer gluetun has to find out by itself: then it does.
func kernelHas(family string) bool {
	_, err := netlink.GenlFamilyGet(family)
	return !errors.Is(err, unix.ENOENT)
}
