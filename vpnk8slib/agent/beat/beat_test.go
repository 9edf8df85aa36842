package beat

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	key   = []byte("0123456789abcdef0123456789abcdef")
	other = []byte("another application's key, 32 by")
	who   = netip.MustParseAddr("172.16.0.18")
)

func ends() (client, gateway *End) {
	return &End{Role: Client, Key: key, Client: who}, &End{Role: Gateway, Key: key, Client: who, Tunnel: true}
}

// Two that meet: after one beat the client knows of the gateway, after two the gateway of the client.
func TestMeeting(t *testing.T) {
	client, gateway := ends()
	hello, v := gateway.Hear(client.Next())
	require.Equal(t, Stale, v, "a first one says nothing of now")
	b, v := client.Hear(gateway.Answer(hello))
	require.Equal(t, Fresh, v)
	assert.True(t, b.Tunnel)
	b, v = gateway.Hear(client.Next())
	require.Equal(t, Fresh, v)
	assert.Equal(t, who, b.Client)
	for range 100 {
		_, v = client.Hear(gateway.Next())
		require.Equal(t, Fresh, v)
		_, v = gateway.Hear(client.Next())
		require.Equal(t, Fresh, v)
	}
	assert.Zero(t, client.Counts.Stale)
}

// A gateway that comes back has another memory. It calls, the client asks whether it is there now, and both are together again.
func TestTheGatewayComesBack(t *testing.T) {
	client, before := ends()
	hello, _ := before.Hear(client.Next())
	_, v := client.Hear(before.Answer(hello))
	require.Equal(t, Fresh, v)

	_, gateway := ends()
	call, v := client.Hear(gateway.Next())
	require.Equal(t, Stale, v, "the client cannot know whether somebody sends an old call")
	_, v = gateway.Hear(client.Answer(call))
	require.Equal(t, Fresh, v)
	_, v = client.Hear(gateway.Next())
	require.Equal(t, Fresh, v)
}

// Somebody has recorded everything and sends it again, from wherever he likes.
func TestNothingCountsTwice(t *testing.T) {
	client, gateway := ends()
	var ofClient, ofGateway [][]byte
	hello := client.Next()
	ofClient = append(ofClient, hello)
	b, _ := gateway.Hear(hello)
	answer := gateway.Answer(b)
	for range 50 {
		ofGateway = append(ofGateway, answer)
		_, v := client.Hear(answer)
		require.Equal(t, Fresh, v)
		beat := client.Next()
		ofClient = append(ofClient, beat)
		_, v = gateway.Hear(beat)
		require.Equal(t, Fresh, v)
		answer = gateway.Next()
	}
	for _, packet := range append(ofGateway, ofClient...) {
		_, v := client.Hear(packet)
		assert.NotEqual(t, Fresh, v)
		_, v = gateway.Hear(packet)
		assert.NotEqual(t, Fresh, v)
	}
	_, v := client.Hear(answer)
	require.Equal(t, Fresh, v)
	beat := client.Next()
	for range 1000 {
		for _, end := range []*End{client, gateway} {
			if b, v := end.Hear(ofClient[3]); v == Stale {
				end.Answer(b)
			}
			if b, v := end.Hear(ofGateway[3]); v == Stale {
				end.Answer(b)
			}
		}
	}
	_, v = gateway.Hear(beat)
	assert.Equal(t, Fresh, v, "and the two go on all the same, however much is sent again")
	_, v = client.Hear(gateway.Next())
	assert.Equal(t, Fresh, v)
	_, v = gateway.Hear(client.Next())
	assert.Equal(t, Fresh, v)
}

// Beats are lost and come late; each that arrives in time counts.
func TestLoss(t *testing.T) {
	client, gateway := ends()
	hello, _ := gateway.Hear(client.Next())
	_, v := client.Hear(gateway.Answer(hello))
	require.Equal(t, Fresh, v)
	for range waiting - 1 {
		client.Next() // lost
	}
	_, v = gateway.Hear(client.Next())
	require.Equal(t, Fresh, v)
	late := gateway.Next()
	_, v = client.Hear(gateway.Next())
	require.Equal(t, Fresh, v)
	_, v = client.Hear(late)
	assert.Equal(t, Stale, v, "what was overtaken")
}

// What is not of this key, this client and this role is foreign, down to the last bit.
func TestForeign(t *testing.T) {
	client, gateway := ends()
	good := client.Next()
	for i := range len(good) * 8 {
		bad := append([]byte(nil), good...)
		bad[i/8] ^= 1 << (i % 8)
		_, v := gateway.Hear(bad)
		require.Equal(t, Foreign, v, "bit %d", i)
	}
	for _, bad := range [][]byte{nil, good[:len(good)-1], append(append([]byte(nil), good...), 0), make([]byte, Size)} {
		_, v := gateway.Hear(bad)
		assert.Equal(t, Foreign, v)
	}
	_, v := client.Hear(good)
	assert.Equal(t, Foreign, v, "its own, thrown back")
	neighbour := &End{Role: Client, Key: key, Client: who.Next()}
	_, v = gateway.Hear(neighbour.Next())
	assert.Equal(t, Foreign, v)
	stranger := &End{Role: Client, Key: other, Client: who}
	_, v = gateway.Hear(stranger.Next())
	assert.Equal(t, Foreign, v)
	_, v = gateway.Hear(good)
	assert.Equal(t, Stale, v)
	assert.Equal(t, uint64(len(good)*8+4+2), gateway.Counts.Foreign)
}

// Whatever comes from the network, it is heard, and only what was sealed is no foreigner.
func FuzzHear(f *testing.F) {
	client, _ := ends()
	f.Add(client.Next())
	f.Add(Beat{From: Gateway, Client: who, Number: 1, Echo: 1}.Seal(key))
	f.Add([]byte("cvpn"))
	f.Fuzz(func(t *testing.T, packet []byte) {
		_, gateway := ends()
		gateway.Next()
		b, v := gateway.Hear(packet)
		if v == Fresh {
			t.Fatal("nobody has heard our number")
		}
		if v == Stale {
			assert.Equal(t, packet, b.Seal(key))
		}
		_, _ = About(packet)
	})
}
