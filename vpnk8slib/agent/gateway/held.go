package gateway

import (
	"maps"
	"net/netip"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Held is what another gateway needs to know to go on where this one ends.
func (k *Keeper) Held() overlay.Held {
	k.mu.Lock()
	defer k.mu.Unlock()
	if up := k.Tunnel(); up != k.through {
		k.through, k.turning = up, time.Now().UTC()
	}
	held := overlay.Held{Tunnel: k.through, Turned: k.turning}
	held.Ports, held.Since = k.told()
	if k.wire != nil {
		held.Pod = k.wire.At.Addr()
	}
	for client, t := range k.talks {
		if t.pod.IsValid() {
			if held.Clients == nil {
				held.Clients = map[netip.Addr]netip.Addr{}
			}
			held.Clients[client] = t.pod
		}
	}
	return held
}

// told are the ports that are told, and since when they are these.
func (k *Keeper) told() (map[string]overlay.Lease, time.Time) {
	leases, numbers := k.leased(), map[string]uint16{}
	for name, l := range leases {
		numbers[name] = l.Port
	}
	if !maps.Equal(numbers, k.ports) {
		k.ports, k.since = numbers, time.Now().UTC()
	}
	return leases, k.since
}

// turned says whether what the configuration says is another thing by now, although it is the same file.
func (k *Keeper) turned() bool { return k.Turned != nil && k.Turned() }
