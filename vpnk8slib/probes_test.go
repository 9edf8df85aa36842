package vpnk8slib

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What leaves over IPv6 is tried as well, wherever the pod has some: another family's guard is another one.
func TestIPv6IsTriedToo(t *testing.T) {
	here := EgressTargets{Address6: "http://[2001:db8::1]/ip", STUN: "[2001:db8::2]:3478"}
	const tcp, udp, icmp = "tcp6 [2001:db8::1]:80", "udp6 [2001:db8::2]:3478", "icmp6 2001:db8::1"
	for _, c := range []struct {
		name    string
		six     bool // in the pod
		change  func(*EgressTargets)
		tried   []string
		verdict Verdict // of what is not
		says    string
	}{
		{"all of it", true, func(*EgressTargets) {}, []string{tcp, icmp, udp}, "", ""},
		{"by another port", true, func(e *EgressTargets) { e.Address6 = "https://[2001:db8::1]:8443/" }, []string{"tcp6 [2001:db8::1]:8443", icmp, udp}, "", ""},
		{"a pod without", false, func(*EgressTargets) {}, nil, Pass, "drill-ipv6: no IPv6 here"},
		{"a STUN server that has none", true, func(e *EgressTargets) { e.STUN = "192.0.2.1:3478" }, []string{tcp, icmp}, Unknown, "drill-udp6: none was tried: 192.0.2.1 is"},
		{"a server that has none", true, func(e *EgressTargets) { e.Address6 = "http://192.0.2.1/" }, []string{udp}, Unknown, "drill-ipv6: no TCP and no ICMP were tried: 192.0.2.1 is"},
	} {
		t.Run(c.name, func(t *testing.T) {
			targets := here
			c.change(&targets)
			all, untried := ByOverlay.probes6(t.Context(), targets, time.Second, c.six)
			var tried []string
			for _, p := range all {
				tried = append(tried, p.kind+" "+p.to)
				assert.True(t, p.mute, "not every tunnel has IPv6")
			}
			assert.Equal(t, c.tried, tried)
			if c.says == "" {
				require.Empty(t, untried)
				return
			}
			require.Len(t, untried, 1)
			assert.Equal(t, c.verdict, untried[0].Verdict)
			assert.Contains(t, untried[0].Check+": "+untried[0].Detail, c.says)
		})
	}
}

// Whatever comes back by either family is an answer, a refusal too.
func TestWhatComesBackIsAnAnswer(t *testing.T) {
	for _, loopback := range []string{"127.0.0.1", "::1"} {
		t.Run(loopback, func(t *testing.T) {
			stun, err := net.ListenPacket("udp", net.JoinHostPort(loopback, "0"))
			require.NoError(t, err)
			go func() { // until it is closed
				buf := make([]byte, 100)
				for {
					n, from, err := stun.ReadFrom(buf)
					if err != nil {
						return
					}
					_, _ = stun.WriteTo(bound(buf[:n], netip.MustParseAddr(loopback)), from)
				}
			}()
			web, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
			require.NoError(t, err)
			at := netip.MustParseAddrPort(web.Addr().String())
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			t.Cleanup(cancel)
			ask := func(p probe) string {
				said, err := p.ask(ctx)
				require.NoError(t, err)
				return said
			}
			stuns := netip.MustParseAddrPort(stun.LocalAddr().String())
			assert.Equal(t, "seen as "+loopback, ask(question("udp", stuns, false)))
			assert.Equal(t, "a connection with "+at.String(), ask(connection("tcp", at, false)))
			require.NoError(t, web.Close())
			require.NoError(t, stun.Close())
			assert.Equal(t, "a refusal of "+at.String(), ask(connection("tcp", at, false)))
			assert.Equal(t, "a refusal of "+stuns.String(), ask(question("udp", stuns, false)))
		})
	}
}

// bound is STUN's answer to a question from an address.
func bound(question []byte, from netip.Addr) []byte {
	family, address := byte(1), from.AsSlice()
	if from.Is6() {
		family = 2
	}
	attribute := append([]byte{0, family, 0, 0}, xored(address, question)...)
	answer := binary.BigEndian.AppendUint16([]byte{1, 1}, uint16(4+len(attribute)))
	answer = append(answer, question[4:20]...)
	answer = binary.BigEndian.AppendUint16(append(answer, 0, 0x20), uint16(len(attribute)))
	return append(answer, attribute...)
}
