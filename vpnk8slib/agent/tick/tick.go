// Package tick waits at little cost. With each of Go's own timers its runtime wakes a thread beside, which looks for work for a
// while: more than half of what an idle agent took of the processor.
package tick

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// timer is one of the kernel's, which the runtime polls with the sockets.
func timer() (*os.File, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot make a timer: %w", err)
	}
	return os.NewFile(uintptr(fd), "timer"), nil
}

// set starts it: once after a time, or again and again.
func set(f *os.File, after time.Duration, again bool) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(after.Nanoseconds())}
	if again {
		spec.Interval = spec.Value
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if out := raw.Control(func(fd uintptr) { err = unix.TimerfdSettime(int(fd), 0, &spec, nil) }); out != nil {
		return out
	}
	return err
}

// Every ticks until stop is called. Ticks that nobody takes are lost.
func Every(d time.Duration) (ticks <-chan struct{}, stop func(), err error) {
	f, err := timer()
	if err != nil {
		return nil, nil, err
	}
	if err := set(f, d, true); err != nil {
		_ = f.Close()
		return nil, nil, fmt.Errorf("cannot start a timer: %w", err)
	}
	out := make(chan struct{}, 1)
	go func() {
		for expired := make([]byte, 8); ; {
			if _, err := f.Read(expired); err != nil {
				return // closed
			}
			select {
			case out <- struct{}{}:
			default:
			}
		}
	}()
	return out, func() { _ = f.Close() }, nil
}

// Pause is a while that is waited for now and then. It is closed when nobody holds it any more.
type Pause struct {
	file  *os.File
	while time.Duration
}

// NewPause makes one.
func NewPause(while time.Duration) (*Pause, error) {
	f, err := timer()
	return &Pause{f, while}, err
}

// Rest waits once.
func (p *Pause) Rest() {
	if set(p.file, p.while, false) == nil {
		_, _ = p.file.Read(make([]byte, 8))
	}
}
