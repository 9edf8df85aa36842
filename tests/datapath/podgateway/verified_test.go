//go:build datapath

package podgateway

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// run is a command in the pod's network, and what it prints.
func (s *stage) run(command ...string) (out string, err error) {
	s.Helper()
	err = s.pod.Do(s.T, func() error {
		text, err := exec.CommandContext(s.Context(), command[0], command[1:]...).Output()
		out = string(text)
		return err
	})
	return out, err
}

// guard is what verify-egress says of the drop rules.
func (s *stage) guard() vpnk8slib.Finding {
	s.Helper()
	g, p := s.gateway(), vpnk8slib.Pod{IPv6: true}
	for _, f := range g.VerifyTunnel(vpnk8slib.TunnelSeen{Pod: p, Tables: g.ListTables(p, s.run)}) {
		if f.Check == "guard" {
			return f
		}
	}
	s.Fatal("there is no finding of the guard")
	return vpnk8slib.Finding{}
}

// The rules are known again as the kernel lists them; and missed where they are not, or not all of them.
func TestVerified(t *testing.T) {
	s := newStage(t)
	assert.Equal(t, vpnk8slib.Fail, s.guard().Verdict, "nothing is laid yet")
	s.lay()
	whole := s.guard()
	assert.Equal(t, vpnk8slib.Pass, whole.Verdict, whole.Detail)
	for _, broken := range [][]string{
		{"ip6tables", "-t", "mangle", "-D", "POSTROUTING", "-j", "VPNK8S-OUT"}, {"iptables", "-t", "mangle", "-F", "VPNK8S-FWD"},
		{"iptables", "-t", "mangle", "-I", "VPNK8S-OUT", "-o", "eth0", "-j", "RETURN"},
	} {
		_, err := s.run(broken...)
		assert.NoError(t, err)
		assert.Equal(t, vpnk8slib.Fail, s.guard().Verdict, "%q", broken)
		s.lay()
		whole := s.guard()
		assert.Equal(t, vpnk8slib.Pass, whole.Verdict, whole.Detail)
	}
}
