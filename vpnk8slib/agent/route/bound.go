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

// Marked makes sockets that a net.Dialer opens mark their packets, as its Control.
func Marked(mark uint32) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) (err error) {
		if out := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(mark)) }); out != nil {
			return out
		}
		return err
	}
}
