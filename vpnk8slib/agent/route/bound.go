package route

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Bound makes sockets that a net.Dialer opens take one interface alone, as its Control.
func Bound(device string) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) (err error) {
		if out := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), device) }); out != nil {
			return out
		}
		return err
	}
}
