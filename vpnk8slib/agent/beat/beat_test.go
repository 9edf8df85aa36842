package beat

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

var (
	key   = []byte("0123456789abcdef0123456789abcdef")
	other = []byte("another application's key, 32 by")
	who   = netip.MustParseAddr("172.16.0.18")

	clientPod  = netip.MustParseAddr("10.42.0.5")
	gatewayPod = netip.MustParseAddr("10.42.0.7")
)

func ends() (client, gateway *End) {
	return &End{Role: Client, Key: key, Own: clientPod, Client: who}, &End{Role: Gateway, Key: key, Own: gatewayPod, Client: who, Tunnel: true}
}

// Two that meet: after one beat the client knows of the gateway, after two the gateway of the client.
func TestMeeting(t *testing.T) {
	client, gateway := ends()
	hello, v := gateway.Hear(client.Next(), clientPod)
	require.Equal(t, Stale, v, "a first one says nothing of now")
	b, v := client.Hear(gateway.Answer(hello), gatewayPod)
	require.Equal(t, Fresh, v)
	assert.True(t, b.Tunnel)
	b, v = gateway.Hear(client.Next(), clientPod)
	require.Equal(t, Fresh, v)
	assert.Equal(t, who, b.Client)
	for range 100 {
		_, v = client.Hear(gateway.Next(), gatewayPod)
		require.Equal(t, Fresh, v)
		_, v = gateway.Hear(client.Next(), clientPod)
		require.Equal(t, Fresh, v)
	}
}

// A gateway that comes back has another memory. It calls, the client asks whether it is there now, and both are together again.
func TestTheGatewayComesBack(t *testing.T) {
	client, before := ends()
	hello, _ := before.Hear(client.Next(), clientPod)
	_, v := client.Hear(before.Answer(hello), gatewayPod)
	require.Equal(t, Fresh, v)

	_, gateway := ends()
	call, v := client.Hear(gateway.Next(), gatewayPod)
	require.Equal(t, Stale, v, "the client cannot know whether somebody sends an old call")
	_, v = gateway.Hear(client.Answer(call), clientPod)
	require.Equal(t, Fresh, v)
	_, v = client.Hear(gateway.Next(), gatewayPod)
	require.Equal(t, Fresh, v)
}

// Somebody has recorded everything and sends it again, from wherever he likes.
func TestNothingCountsTwice(t *testing.T) {
	client, gateway := ends()
	var ofClient, ofGateway [][]byte
	hello := client.Next()
	ofClient = append(ofClient, hello)
	b, _ := gateway.Hear(hello, clientPod)
	answer := gateway.Answer(b)
	for range 50 {
		ofGateway = append(ofGateway, answer)
		_, v := client.Hear(answer, gatewayPod)
		require.Equal(t, Fresh, v)
		beat := client.Next()
		ofClient = append(ofClient, beat)
		_, v = gateway.Hear(beat, clientPod)
		require.Equal(t, Fresh, v)
		answer = gateway.Next()
	}
	for _, packet := range append(ofGateway, ofClient...) {
		_, v := client.Hear(packet, gatewayPod)
		assert.NotEqual(t, Fresh, v)
		_, v = gateway.Hear(packet, clientPod)
		assert.NotEqual(t, Fresh, v)
	}
	_, v := client.Hear(answer, gatewayPod)
	require.Equal(t, Fresh, v)
	beat := client.Next()
	for range 1000 {
		for _, end := range []*End{client, gateway} {
			if b, v := end.Hear(ofClient[3], clientPod); v == Stale {
				end.Answer(b)
			}
			if b, v := end.Hear(ofGateway[3], gatewayPod); v == Stale {
				end.Answer(b)
			}
		}
	}
	_, v = gateway.Hear(beat, clientPod)
	assert.Equal(t, Fresh, v, "and the two go on all the same, however much is sent again")
	_, v = client.Hear(gateway.Next(), gatewayPod)
	assert.Equal(t, Fresh, v)
	_, v = gateway.Hear(client.Next(), clientPod)
	assert.Equal(t, Fresh, v)
}

// A pod in between passes on all that each says, and asks each in the other's words: it becomes neither end.
func TestNobodyStandsBetween(t *testing.T) {
	between := netip.MustParseAddr("10.42.0.66")
	client, gateway := ends()
	old := client.Next()
	for range 10 {
		for _, packet := range [][]byte{old, client.Next()} {
			_, v := gateway.Hear(packet, between)
			require.Equal(t, Foreign, v)
			b, _ := gateway.Hear(packet, clientPod) // as if he could send in the client's name; what is answered goes to the client
			_, v = client.Hear(gateway.Answer(b), between)
			require.Equal(t, Foreign, v)
		}
		_, v := client.Hear(gateway.Next(), between)
		require.Equal(t, Foreign, v)
	}
}

// Beats are lost and come late; each that arrives in time counts.
func TestLoss(t *testing.T) {
	client, gateway := ends()
	hello, _ := gateway.Hear(client.Next(), clientPod)
	_, v := client.Hear(gateway.Answer(hello), gatewayPod)
	require.Equal(t, Fresh, v)
	for range waiting - 1 {
		client.Next() // lost
	}
	_, v = gateway.Hear(client.Next(), clientPod)
	require.Equal(t, Fresh, v)
	late := gateway.Next()
	_, v = client.Hear(gateway.Next(), gatewayPod)
	require.Equal(t, Fresh, v)
	_, v = client.Hear(late, gatewayPod)
	assert.Equal(t, Stale, v, "what was overtaken")
}

// What is not of this key, this client and this role is foreign, down to the last bit.
func TestForeign(t *testing.T) {
	client, gateway := ends()
	good := client.Next()
	for i := range len(good) * 8 {
		bad := append([]byte(nil), good...)
		bad[i/8] ^= 1 << (i % 8)
		_, v := gateway.Hear(bad, clientPod)
		require.Equal(t, Foreign, v, "bit %d", i)
	}
	for _, bad := range [][]byte{nil, good[:len(good)-1], append(append([]byte(nil), good...), 0), make([]byte, Size)} {
		_, v := gateway.Hear(bad, clientPod)
		assert.Equal(t, Foreign, v)
	}
	_, v := client.Hear(good, gatewayPod)
	assert.Equal(t, Foreign, v, "its own, thrown back")
	_, v = gateway.Hear(good, gatewayPod.Next())
	assert.Equal(t, Foreign, v, "from another pod than the one that has sealed it")
	neighbour := &End{Role: Client, Key: key, Own: clientPod, Client: who.Next()}
	_, v = gateway.Hear(neighbour.Next(), clientPod)
	assert.Equal(t, Foreign, v)
	stranger := &End{Role: Client, Key: other, Own: clientPod, Client: who}
	_, v = gateway.Hear(stranger.Next(), clientPod)
	assert.Equal(t, Foreign, v)
	_, v = gateway.Hear(good, clientPod)
	assert.Equal(t, Stale, v)
}

// What a client says of its pod its gateway hears, of a beat that is new and of no other. An end that is older than these words sends and
// reads beats of the same size, and the rest of them as ever.
func TestWhatAClientSays(t *testing.T) {
	client, gateway := ends()
	client.Said = overlay.Said{Guard: overlay.Yes, Policy: overlay.No, Leaves: overlay.Unknown}
	hello, _ := gateway.Hear(client.Next(), clientPod)
	_, v := client.Hear(gateway.Answer(hello), gatewayPod)
	require.Equal(t, Fresh, v)
	first := client.Next()
	b, v := gateway.Hear(first, clientPod)
	require.Equal(t, Fresh, v)
	assert.Equal(t, client.Said, b.Said)
	for _, guard := range []overlay.Word{overlay.Unsaid, overlay.Yes, overlay.No, overlay.Unknown} {
		for _, policy := range []overlay.Word{overlay.Unsaid, overlay.Yes, overlay.No, overlay.Unknown} {
			said := overlay.Said{Guard: guard, Policy: policy}
			read, err := Open(key, Beat{From: Client, Client: who, Number: 1, Said: said}.Seal(key, clientPod), Client, clientPod)
			require.NoError(t, err)
			assert.Equal(t, said, read.Said)
		}
	}

	const told = 1<<0 | 1<<1 // the flags of version 1 as it was, which both ends read
	assert.Len(t, first, 44)
	assert.Zero(t, binary.BigEndian.Uint16(first[6:])&told, "an older gateway reads nothing else in it than before")
	older := Beat{From: Client, Client: who, Number: 7}.Seal(key, clientPod)
	assert.Zero(t, binary.BigEndian.Uint16(older[6:]))
	read, err := Open(key, older, Client, clientPod)
	require.NoError(t, err)
	assert.Equal(t, overlay.Said{}, read.Said, "of an older client nothing is claimed")
	gateway.Said = client.Said
	b, v = client.Hear(gateway.Next(), gatewayPod)
	require.Equal(t, Fresh, v)
	assert.Equal(t, overlay.Said{}, b.Said, "a gateway says nothing of the kind")
	assert.True(t, b.Tunnel)
}
