package names

import (
	"context"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Who looks at a pod's numbers sees how much is asked where, and not for what.
func TestAsked(t *testing.T) {
	n := overlay.Names{Zones: []string{"cluster.local"}}
	r := Client(func() overlay.Names { return n }, func() bool { return true })
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
}
