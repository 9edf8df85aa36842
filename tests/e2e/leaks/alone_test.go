//go:build leaks

package leaks

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
)

// unguarded takes the guard away, so that only the NetworkPolicy is left. Names are not asked for meanwhile: it admits the cluster's
// resolver, who asks outside for whoever asks it. They are the guard's alone.
func (s *stage) unguarded() {
	s.Helper()
	defer s.hush(s.client())()
	left, err := s.PolicyAlone(s.Context(), s.client(), 5*time.Second)
	require.NoError(s, err)
	s.excused = left
}

// mark is that of answers, which the overlay's rules lead out by the pod's own interface, and beside it a mesh's own.
const mark = guard.Entered | guard.Ztunnel

// marked has every packet bear the mark, while all is led out of the pod's own interface, and after that. Then somebody asks for the mark
// himself: only what has it before the kernel looks for a way is led by it. The guard is asked each time, and is to let nothing out for it.
func (s *stage) marked() {
	s.Helper()
	s.inside("nft", fmt.Sprintf("add table inet wrong; add chain inet wrong out { type route hook output priority -200; }; add rule inet wrong out meta mark set %#x", mark))
	s.open()
	s.pass(5 * time.Second)
	before := s.dropped()
	dsts := []string{"198.18.251.3", "198.18.251.4"} // which nothing else sends to
	for i, of := range []string{s.client(), control} {
		s.must(s.Lab(s.Context(), "exec", "--pod", of, "--", "sh", "-c", "ping -m $0 -c 5 -i 0.2 -W 1 $1 || :", fmt.Sprint(mark), dsts[i]))
	}
	seen, err := s.OnUplink(s.Context(), dsts...)
	require.NoError(s, err)
	assert.Zero(s, seen[dsts[0]], "LEAK: of marked packets")
	assert.Positive(s, seen[dsts[1]], "the control is blind: of marked packets")
	if s.method == "overlay" { // the other one has no rules for marks
		assert.GreaterOrEqual(s, s.dropped()["icmp4"]-before["icmp4"], 5, "the mark leads nowhere")
	}
}

// dropped is what the client's guard has dropped.
func (s *stage) dropped() map[string]int {
	s.Helper()
	dropped, err := s.Dropped(s.Context(), s.client())
	require.NoError(s, err)
	return dropped
}
