package ports

import (
	"context"
	"net/netip"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/natpmp"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// first is the least of the ports at which leases come out of the tunnel, where the provider leaves that to the asker. They are
// nobody's here: what listens in the gateway's pod, listens elsewhere.
const first = 0xd000

// inner tells a block's lease from others: by where the block is.
func inner(b overlay.Block) uint16 {
	a := b.Addresses.Addr().As4()
	return first + uint16(a[2]&0x0f)<<8 | uint16(a[3])
}

// router is one in the tunnel, that is asked by NAT-PMP.
type router struct{ natpmp.Router }

// atOnce: who is silent takes his time.
func (router) atOnce() bool { return false }

func (r router) obtain(ctx context.Context, l overlay.Lease, taken func(uint16) bool) (grant, error) {
	if !r.Addr.Addr().IsValid() { // another server may have another one
		at, err := route.RouterOf(r.Device)
		if err != nil {
			return grant{}, err
		}
		r.Addr = netip.AddrPortFrom(at, natpmp.Port)
	}
	ask := func(p natpmp.Protocol, wish uint16) (natpmp.Mapping, error) {
		return r.Map(ctx, natpmp.Mapping{Protocol: p, Inner: l.Inner, Outer: wish, Lifetime: lifetime})
	}
	udp, err := ask(natpmp.UDP, l.Port)
	if err != nil {
		return grant{}, err
	}
	tcp, err := ask(natpmp.TCP, udp.Outer)
	switch {
	case err != nil:
		return grant{}, err
	case tcp.Outer != udp.Outer:
		return grant{}, errUneven
	case taken(udp.Outer):
		return grant{}, errTaken
	}
	return grant{udp.Outer, min(udp.Lifetime, tcp.Lifetime, lifetime)}, nil
}
