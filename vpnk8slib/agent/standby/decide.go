// Package standby lets one of several gateways have the tunnel, and another one take over when it is lost. Which one it is, a Lease of
// Kubernetes' says: its holder renews it, and whoever has not seen it renewed for a while takes it. The holder counts from the moment at
// which it began its last renewal, and stops before anybody else can start; the others count from when they saw it. So no clock is
// compared with another one's.
//
//	holder   ── renews ── renews ── renews ─✕ cannot ────────► stops (Safe)
//	standby  ── looks ─── looks ─── looks ─── unchanged since ──────────────────► takes it (Lasts)
//
// What the holder knows of its clients stands in the lease. They are called from the first moment on.
package standby

import (
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

const (
	// Lasts is for how long a lease that is not renewed is its holder's.
	Lasts = 6 * time.Second
	// Safe is for how long who could not renew it goes on: what is in force must be gone before Lasts is over.
	Safe = 4500 * time.Millisecond

	renews  = 1500 * time.Millisecond // how often the holder renews it
	looks   = time.Second             // how often the others look
	again   = 500 * time.Millisecond  // after a failure
	patient = 1500 * time.Millisecond // with one request
	ends    = time.Minute             // so long a pod may take to end
	hears   = 30 * time.Second        // so long one that has it alone goes on when it has heard that there is a lease, and nobody answers
	begins  = 2 * time.Minute         // so long the one that has the tunnel may take to hear that there is a lease, by its file
)

// lease is one, as it was read last.
type lease struct {
	holder  string // empty: nobody, or nobody any more
	taken   bool   // somebody has held it before
	renewed string // as its holder wrote it: another text is another renewal, and nothing else is made of it
	version string
	times   int // it went from one to another
	held    overlay.Held
}

type act int

const (
	wait act = iota
	take
	renew
)

// decide says what is to be done with a lease that has been the same for so long. First: this pod takes one that nobody has ever had,
// because it has the tunnel already. The others leave it time for that, which is short where it is free: nobody can have the tunnel without
// having heard of the lease, and whoever had one that was deleted has stopped by then.
func decide(self string, first, free bool, l lease, unchanged time.Duration) act {
	switch {
	case l.holder == self:
		return renew
	case l.holder == "" && l.taken: // given back, by one that has ended
		return take
	case l.holder == "" && (first || unchanged >= begins || free && unchanged >= Lasts):
		return take
	case l.holder != "" && unchanged >= Lasts:
		return take
	default:
		return wait
	}
}

// identity is who holds a lease: a pod's name, and which pod of that name. A new one is not the old one, whose tunnel it has not.
func identity(pod, instance string) string { return pod + "_" + instance }

// podOf is the name in it.
func podOf(identity string) string {
	name, _, _ := strings.Cut(identity, "_")
	return name
}
