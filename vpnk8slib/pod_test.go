package vpnk8slib

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/status"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Lines as the kernel prints them: IPv4 addresses are little-endian hexadecimal.
const (
	header     = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
	viaEth0    = "eth0\t00000000\t01002A0A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
	viaOverlay = "vxlan0\t00000000\t010010AC\t0003\t0\t0\t203\t00000000\t0\t0\t0\n"
	halfEth0   = "eth0\t00000000\t01002A0A\t0003\t0\t0\t0\t00000080\t0\t0\t0\n"
	podNet     = "eth0\t00002A0A\t01002A0A\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
	unreach    = "*\t00000000\t00000000\t0201\t0\t0\t-16689024\t00000000\t0\t0\t0\n"
	second     = "*\t00000000\t00000000\t0201\t0\t0\t-16689023\t00000000\t0\t0\t0\n"

	none6    = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"
	default6 = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n"
	global6  = "20000000000000000000000000000000 03 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n"
	local6   = "fc000000000000000000000000000000 07 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n"
	refused6 = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 00000001 00000001 00000000 00200200       lo\n"
	second6  = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 00000002 00000001 00000000 00200200       lo\n"
	link6    = "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000002 00000000 00000001     eth0\n"
)

func TestWaysToTheWorld(t *testing.T) {
	tests := []struct {
		summary, v4, v6 string
		closed, patched bool
	}{
		{"an ordinary pod", header + viaEth0 + podNet, none6 + link6, false, false},
		{"routed", header + viaOverlay + podNet + unreach, none6 + link6, true, true},
		{"closed, no overlay", header + podNet + unreach, none6, true, true},
		{"closed by somebody else", header + podNet, none6, true, false},
		{"a default beside the overlay's", header + viaOverlay + viaEth0 + unreach, none6, false, true},
		{"half the world", header + viaOverlay + halfEth0 + unreach, none6, false, true},
		{"an IPv6 default", header + viaOverlay + unreach, none6 + default6, false, true},
		{"an IPv6 default by advertisement, behind ours", header + viaOverlay + unreach, none6 + refused6 + default6, true, true},
		{"the image has just deleted one refusal of each, and an advertisement comes", header + podNet + second, none6 + second6 + default6, true, true},
		{"the image has just deleted the only refusal", header + podNet, none6, true, false},
		{"an IPv6 default before ours", header + viaOverlay + unreach, none6 + strings.Replace(default6, "00000400", "00000001", 1) + second6, false, true},
		{"all global IPv6, which ours does not cover", header + viaOverlay + unreach, refused6 + global6, false, true},
		{"all global IPv6", header + viaOverlay + unreach, global6, false, true},
		{"unique local IPv6", header + viaOverlay + unreach, local6, true, true},
		{"no IPv6", header + viaOverlay + unreach, "", true, true},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			routes, err := parseRoutes([]byte(test.v4), []byte(test.v6))
			require.NoError(t, err)
			p := see(routes)
			assert.Equal(t, test.closed, p.Closed, "closed")
			assert.Equal(t, test.patched, p.Patched, "patched")
		})
	}
	_, err := parseRoutes([]byte(header+"eth0 x x zz x x x 0 0 0 0\n"), nil)
	require.Error(t, err)
}

// An agent that has just been started is waited for; where none is to be, nobody waits.
func TestAskAgent(t *testing.T) {
	here, err := overlay.Namespace()
	require.NoError(t, err)
	began := time.Now()
	assert.Nil(t, askAgent(filepath.Join(t.TempDir(), "no", "agent.sock"), time.Minute))
	assert.Less(t, time.Since(began), 10*time.Second)

	for namespace, trusted := range map[uint64]bool{here: true, here + 1: false} {
		socket := filepath.Join(t.TempDir(), "agent.sock")
		assert.Nil(t, askAgent(socket, 100*time.Millisecond))
		ctx, end := context.WithCancel(t.Context())
		ended, left := make(chan error, 1), make(chan bool, 1)
		time.AfterFunc(200*time.Millisecond, func() {
			ended <- status.Serve(ctx, socket, func() overlay.Report {
				return overlay.Report{Namespace: namespace, Guard: overlay.GuardState{Standing: true, Raw: true}}
			}, nil, func(leaves bool) { left <- leaves })
		})
		report := askAgent(socket, 10*time.Second)
		assert.Equal(t, trusted, report != nil && report.Guard.Standing)
		assert.Empty(t, left)
		require.NoError(t, overlay.Leave(ctx, socket))
		assert.True(t, <-left, "it is told when its pod is about to end")
		require.NoError(t, overlay.Stay(ctx, socket))
		assert.False(t, <-left, "and when it is not")
		end()
		require.NoError(t, <-ended)
	}
}
