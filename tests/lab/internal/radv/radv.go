// Package radv is a router on the pod network that advertises itself as the way to everywhere, once a second: what any pod
// of a dual-stack cluster may hear, whatever its own routes say.
package radv

import (
	"context"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/ipv6"
)

const (
	device   = "pods0"
	lifetime = 30 // seconds for which a host keeps the default route
)

// advertisement is a router advertisement (RFC 4861, 4.2) without options: a default router, and no prefix to make an
// address from. The kernel fills in the checksum.
var advertisement = []byte{134, 0, 0, 0, 64, 0, 0, lifetime, 0, 0, 0, 0, 0, 0, 0, 0}

// Serve advertises until ctx ends.
func Serve(ctx context.Context) error {
	link, err := net.InterfaceByName(device)
	if err != nil {
		return fmt.Errorf("cannot advertise: %w", err)
	}
	conn, err := net.ListenPacket("ip6:ipv6-icmp", "::")
	if err != nil {
		return fmt.Errorf("cannot advertise: %w", err)
	}
	defer conn.Close()
	p := ipv6.NewPacketConn(conn)
	if err := p.SetMulticastHopLimit(255); err != nil { // one that came over a router is not believed
		return fmt.Errorf("cannot advertise: %w", err)
	}
	to := &net.IPAddr{IP: net.IPv6linklocalallnodes, Zone: device}
	for tick := time.NewTicker(time.Second); ; {
		// Until the link-local address is there it fails; that is soon.
		_, _ = p.WriteTo(advertisement, &ipv6.ControlMessage{IfIndex: link.Index}, to)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
