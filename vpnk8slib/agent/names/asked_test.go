package names

import (
	"context"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Who looks at a pod's numbers sees how much is asked where, and not for what.
func TestAsked(t *testing.T) {
	silent := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}
	n := overlay.Names{Zones: []string{"cluster.local"}, Cluster: silent, Outside: silent}
	up := true
	r := Client(func() overlay.Names { return n }, func() bool { return up })
	ask := func(name string) {
		q := new(dns.Msg)
		q.SetQuestion(name, dns.TypeA)
		r.Answer(context.Background(), q, "udp", asker)
	}
	ask("example.com.") // nobody counts
	r.Asked = &Asked{}
	assert.Nil(t, r.Asked.Counts())
	for _, name := range []string{"kubernetes.default.svc.cluster.local.", "example.com.", "example.org.", "printer."} {
		ask(name)
	}
	assert.Equal(t, map[string]uint64{"cluster": 1, "tunnel": 2, "nobody": 1}, r.Asked.Counts())
	up = false
	ask("example.net.")
	assert.Equal(t, map[string]uint64{"cluster": 1, "tunnel": 2, "nobody": 2}, r.Asked.Counts(), "there is no way to who knows it")
}
