package ports

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// What gluetun v3.40 to master answers, and what nobody answers who has been granted a port.
func TestParse(t *testing.T) {
	for summary, test := range map[string]struct {
		answer string
		ports  []uint16
		err    error
	}{
		"one":                           {`{"port":51413}`, []uint16{51413}, nil},
		"none":                          {`{"port":0}`, nil, nil},
		"several":                       {`{"ports":[10007,20007,30007]}`, []uint16{10007, 20007, 30007}, nil},
		"one, of a newer one":           {`{"port":51413,"ports":[51413]}`, []uint16{51413}, nil},
		"several, of a newer one":       {`{"port":10007,"ports":[10007,20007]}`, []uint16{10007, 20007}, nil},
		"none, of a newer one":          {`{"port":0,"ports":[]}`, nil, nil},
		"none, and nothing in its list": {`{"port":0,"ports":null}`, nil, nil},
		"a 0 among them":                {`{"ports":[0,20007]}`, []uint16{20007}, nil},
		"more than there is to say":     {`{"port":51413,"expires":"tomorrow"}` + "\n", []uint16{51413}, nil},
		"no port at all":                {`{}`, nil, errRubbish},
		"nothing":                       {``, nil, errRubbish},
		"half of it":                    {`{"port":514`, nil, errRubbish},
		"words":                         {`51413 is yours`, nil, errRubbish},
		"a text":                        {`{"port":"51413"}`, nil, errRubbish},
		"a port that there is not":      {`{"port":70000}`, nil, errRubbish},
		"one below none":                {`{"ports":[-1]}`, nil, errRubbish},
		"a list":                        {`[51413]`, nil, errRubbish},
	} {
		t.Run(summary, func(t *testing.T) {
			ports, err := parse([]byte(test.answer))
			assert.ErrorIs(t, err, test.err)
			assert.Equal(t, test.ports, ports)
		})
	}
}

// Whatever is answered, 0 is no port.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"port":51413,"ports":[51413,0]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		ports, err := parse(text)
		for _, p := range ports {
			if p == 0 || err != nil {
				t.Fatalf("%s: %v, %v", text, ports, err)
			}
		}
	})
}

// client is a VPN client that tells what it is told to tell.
type client struct {
	*httptest.Server
	answer atomic.Pointer[string]
	status atomic.Int64
	asked  atomic.Int64
}

func newClient(t *testing.T, answer string) *client {
	c := &client{}
	c.say(answer)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c.asked.Add(1)
		if status := c.status.Load(); status != 0 {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(int(status))
		}
		_, _ = io.WriteString(w, *c.answer.Load())
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *client) say(answer string) { c.answer.Store(&answer) }

// keeping is a keeper whose tunnel is up, of a gateway with three applications: two of them want a port.
func keeping(t *testing.T, c *client) (*Keeper, *overlay.Gateway) {
	gateway := &overlay.Gateway{Tunnel: "tun0", Told: c.URL + "/v1/portforward", Blocks: []overlay.Block{
		{Name: "multimeter", Addresses: netip.MustParsePrefix("172.16.0.16/28")},
		{Name: "qbittorrent", Addresses: netip.MustParsePrefix("172.16.0.32/28"), Port: true},
		{Name: "transmission", Addresses: netip.MustParsePrefix("172.16.0.48/28"), Port: true},
	}}
	return &Keeper{Log: slog.New(slog.DiscardHandler), Tunnel: func() bool { return true }}, gateway
}

func numbers(k *Keeper) map[string]uint16 {
	out := map[string]uint16{}
	for name, l := range k.Leased() {
		out[name] = l.Port
	}
	return out
}

// One port for two applications is the first one's, for as long as it wants it; the other is told so. It is the same one's again after
// the VPN client has had none for a while, and it is gone as soon as that says so.
func TestOnePortOfTheVPNClient(t *testing.T) {
	c := newClient(t, `{"port":0}`)
	k, gateway := keeping(t, c)
	see := func(anew bool) { k.see(t.Context(), gateway, true, anew) }
	see(true)
	assert.Equal(t, map[string]uint16{"qbittorrent": 0, "transmission": 0}, numbers(k), "never a port that nobody has granted")
	assert.Equal(t, "the VPN client has been granted no port", k.Leased()["qbittorrent"].Error)

	c.say(`{"port":51413}`)
	before := time.Now()
	see(false)
	assert.Equal(t, map[string]uint16{"qbittorrent": 51413, "transmission": 0}, numbers(k))
	l := k.Leased()["qbittorrent"]
	assert.Equal(t, 60, l.Lifetime)
	assert.WithinRange(t, l.Since, before, time.Now())
	assert.Empty(t, l.Error)
	assert.Zero(t, l.Inner, "it comes out of the tunnel at no other")
	assert.Equal(t, "its only port leads to another application already", k.Leased()["transmission"].Error)

	asked := c.asked.Load()
	see(false)
	assert.Equal(t, asked+1, c.asked.Load(), "once for all")
	assert.Equal(t, l.Since, k.Leased()["qbittorrent"].Since)

	c.say(`{"port":51414}`)
	see(false)
	assert.Equal(t, map[string]uint16{"qbittorrent": 51414, "transmission": 0}, numbers(k))
	assert.True(t, k.Leased()["qbittorrent"].Since.After(l.Since))

	gateway.Blocks[1].Port = false
	see(false)
	assert.Equal(t, map[string]uint16{"transmission": 51414}, numbers(k))
	gateway.Blocks[1].Port = true
	see(false)
	assert.Equal(t, map[string]uint16{"qbittorrent": 0, "transmission": 51414}, numbers(k), "who has it keeps it")

	c.say(`{"port":0}`)
	see(false)
	assert.Equal(t, map[string]uint16{"qbittorrent": 0, "transmission": 0}, numbers(k), "at once")
	assert.Zero(t, k.Leased()["transmission"].Until)
	c.say(`{"port":51415}`)
	see(true)
	assert.Equal(t, map[string]uint16{"qbittorrent": 0, "transmission": 51415}, numbers(k), "who had it last")
}

// Of several ports each has its own.
func TestSeveralPortsOfTheVPNClient(t *testing.T) {
	c := newClient(t, `{"ports":[10007,20007,30007]}`)
	k, gateway := keeping(t, c)
	k.see(t.Context(), gateway, true, true)
	assert.Equal(t, map[string]uint16{"qbittorrent": 10007, "transmission": 20007}, numbers(k))
	c.say(`{"ports":[20007,30007]}`)
	k.see(t.Context(), gateway, true, false)
	assert.Equal(t, map[string]uint16{"qbittorrent": 30007, "transmission": 20007}, numbers(k))
	c.say(`{"ports":[80]}`)
	k.see(t.Context(), gateway, true, false)
	assert.Equal(t, map[string]uint16{"qbittorrent": 0, "transmission": 0}, numbers(k))
	assert.Contains(t, k.Leased()["qbittorrent"].Error, "only root could listen")
}

// A VPN client that says nothing that can be read has taken nothing back: the port is believed for a minute, and not longer. Behind a
// tunnel that has come up meanwhile it is worth nothing.
func TestAVPNClientThatIsSilent(t *testing.T) {
	for summary, test := range map[string]struct {
		change func(*client)
		says   string
	}{
		"it is not there":     {func(c *client) { c.Close() }, "connection refused"},
		"it knows nobody":     {func(c *client) { c.status.Store(http.StatusUnauthorized) }, "it answers 401 Unauthorized"},
		"it sends elsewhere":  {func(c *client) { c.status.Store(http.StatusMovedPermanently) }, "it answers 301 Moved Permanently"},
		"it answers nonsense": {func(c *client) { c.say("<html>") }, "its answer tells of no ports"},
		"it never ends":       {func(c *client) { c.say(`{"port":51414` + strings.Repeat(" ", answerLimit) + "}") }, "its answer tells of no ports"},
	} {
		t.Run(summary, func(t *testing.T) {
			c := newClient(t, `{"port":51413}`)
			k, gateway := keeping(t, c)
			see := func(anew bool) { k.see(t.Context(), gateway, true, anew) }
			see(true)
			require.EqualValues(t, 51413, numbers(k)["qbittorrent"])
			test.change(c)
			see(false)
			l := k.Leased()["qbittorrent"]
			assert.EqualValues(t, 51413, l.Port)
			assert.Contains(t, l.Error, test.says)
			assert.True(t, strings.HasPrefix(l.Error, "cannot ask the VPN client for its ports: "), l.Error)
			k.leases["qbittorrent"].Until = time.Now()
			see(false)
			assert.Zero(t, numbers(k)["qbittorrent"])

			c.Close()
			c = newClient(t, `{"port":51413}`)
			k, gateway = keeping(t, c)
			see(true)
			test.change(c)
			see(true)
			assert.Zero(t, numbers(k)["qbittorrent"])
		})
	}
}

// Nobody is asked while the tunnel is down, and nobody has a port where nobody grants one.
func TestNobodyIsAsked(t *testing.T) {
	c := newClient(t, `{"port":51413}`)
	k, gateway := keeping(t, c)
	k.see(t.Context(), gateway, false, false)
	assert.Zero(t, c.asked.Load())
	assert.Empty(t, k.Leased())
	k.see(t.Context(), gateway, true, true)
	assert.EqualValues(t, 1, c.asked.Load())
	gateway.Told = ""
	k.see(t.Context(), gateway, true, false)
	assert.Empty(t, k.Leased())
}
