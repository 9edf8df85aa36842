// Package tick waits at little cost. With each of Go's own timers its runtime wakes a thread beside, which looks for work for a
// while: more than half of what an idle agent took of the processor.
package tick

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Timer is one of the kernel's, which the runtime polls with the sockets. It is not safe for use by several at once.
type Timer struct {
	file  *os.File
	every time.Duration // as it is set
	text  [8]byte
}

// New makes one that goes with ctx.
func New(ctx context.Context) (*Timer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot make a timer: %w", err)
	}
	t := &Timer{file: os.NewFile(uintptr(fd), "timer")}
	context.AfterFunc(ctx, func() { _ = t.file.Close() })
	return t, nil
}

// Wait waits until so long after the last time, or from now on where that was another while. The error is of a timer that has
// gone with its context.
func (t *Timer) Wait(every time.Duration) error {
	if every != t.every {
		if err := t.set(every); err != nil {
			return fmt.Errorf("cannot start a timer: %w", err)
		}
		t.every = every
	}
	_, err := t.file.Read(t.text[:])
	return err
}

func (t *Timer) set(every time.Duration) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(every.Nanoseconds()), Interval: unix.NsecToTimespec(every.Nanoseconds())}
	raw, err := t.file.SyscallConn()
	if err != nil {
		return err
	}
	if out := raw.Control(func(fd uintptr) { err = unix.TimerfdSettime(int(fd), 0, &spec, nil) }); out != nil {
		return out
	}
	return err
}
