package names

import (
	"sync/atomic"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Asked counts questions by who was asked. Of no question more is kept than that.
type Asked struct{ cluster, tunnel, nobody atomic.Uint64 }

// Counts are those since the agent began; nil where nobody has asked anything.
func (a *Asked) Counts() map[string]uint64 {
	all := map[string]uint64{overlay.AskedCluster: a.cluster.Load(), overlay.AskedTunnel: a.tunnel.Load(), overlay.AskedNobody: a.nobody.Load()}
	for _, n := range all {
		if n > 0 {
			return all
		}
	}
	return nil
}

func (a *Asked) count(u Upstream, somebody bool) {
	switch {
	case a == nil:
	case !somebody:
		a.nobody.Add(1)
	case u.Near:
		a.cluster.Add(1)
	default:
		a.tunnel.Add(1)
	}
}
