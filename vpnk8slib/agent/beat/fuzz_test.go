package beat

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Whatever comes from the network, it is heard, and only what was sealed is no foreigner. What somebody with the key has sealed is read for
// what it is, whatever it says: it changes nothing unless it repeats a number that waits for it, and that once.
func FuzzHear(f *testing.F) {
	const asItIs, newest, older, challenge, kinds = 0, 1, 2, 3, 4 // what it repeats
	client, _ := ends()
	for repeats := range uint8(kinds) {
		f.Add(client.Next(), repeats)
		f.Add(Beat{From: Client, Client: who, Number: 1, Said: overlay.Said{Guard: overlay.Yes, Leaves: overlay.No}}.Seal(key, clientPod), repeats)
	}
	f.Add(Beat{From: Gateway, Client: who, Number: 1, Echo: 1}.Seal(key, gatewayPod), uint8(asItIs))
	f.Add(Beat{From: Client, Client: who.Next(), Number: 1}.Seal(key, clientPod), uint8(newest))
	f.Add([]byte("cvpn"), uint8(asItIs))
	f.Fuzz(func(t *testing.T, packet []byte, repeats uint8) {
		_, gateway := ends()
		drawn := binary.BigEndian.Uint64(gateway.Next()[12:])
		b, v := gateway.Hear(packet, clientPod)
		if v == Fresh {
			t.Fatal("nobody has heard our number")
		}
		if v == Stale {
			assert.Equal(t, packet, b.Seal(key, clientPod))
		}
		_, _ = About(packet)

		body := make([]byte, Size-tag)
		copy(body, packet)
		waits := drawn
		switch repeats % kinds {
		case asItIs:
			waits = 0
		case older:
			gateway.Next()
		case challenge:
			waits = binary.BigEndian.Uint64(gateway.Answer(Beat{Client: who, Number: 1})[12:])
		}
		if waits != 0 {
			binary.BigEndian.PutUint64(body[20:], waits)
		}
		signed := append(slices.Clone(body), sign(key, body, clientPod)...)
		before := gateway.echo
		b, v = gateway.Hear(signed, clientPod)
		number := binary.BigEndian.Uint64(body[12:])
		ours := string(body[:6]) == "cvpn\x01\x01" && [4]byte(body[8:12]) == who.As4() && number != 0
		switch {
		case !ours:
			require.Equal(t, Foreign, v)
		case waits == 0:
			require.Equal(t, Stale, v)
		default:
			require.Equal(t, Fresh, v)
			require.Equal(t, number, binary.BigEndian.Uint64(gateway.Next()[20:]), "what it said is repeated")
			_, again := gateway.Hear(signed, clientPod)
			require.Equal(t, Stale, again, "a second time")
		}
		if v != Fresh {
			require.Equal(t, before, gateway.echo)
		}
		if v == Foreign {
			return
		}
		known := slices.Clone(body)
		known[6] = 0 // flags that nobody sends yet
		require.Equal(t, known, b.Seal(key, clientPod)[:len(body)], "nothing of it is lost")
		answer, err := Open(key, gateway.Answer(b), Gateway, gatewayPod)
		require.NoError(t, err)
		require.Equal(t, number, answer.Echo)
	})
}
