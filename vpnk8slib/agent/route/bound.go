package route

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Bound makes sockets that a net.Dialer opens take one interface alone, as its Control.
func Bound(device string) func(network, address string, c syscall.RawConn) error {
	return control(func(fd int) error { return unix.BindToDevice(fd, device) })
}

// Marked makes sockets that a net.Dialer opens mark their packets, as its Control.
func Marked(mark uint32) func(network, address string, c syscall.RawConn) error {
	return control(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)) })
}

func control(set func(fd int) error) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) (err error) {
		if out := c.Control(func(fd uintptr) { err = set(int(fd)) }); out != nil {
			return out
		}
		return err
	}
}
