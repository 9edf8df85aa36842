package overlay

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const whole = `{"guard": {"device": "eth0", "overlay": "vxlan0", "cluster": ["10.42.0.0/16", "10.43.0.0/16", "fd42::/48"],
	"outside": ["10.44.0.9:6443", "[fd44::9]:17070"], "gateways": ["10.42.0.7", "fd42::7"], "port": 4790, "inbound": [8080]}, "newer": 1}`

// What a charm of another version may have written, or somebody by hand, is told by its field.
func TestParseConfig(t *testing.T) {
	c, err := ParseConfig([]byte(whole))
	require.NoError(t, err)
	again, err := json.Marshal(c)
	require.NoError(t, err)
	same, err := ParseConfig(again)
	require.NoError(t, err)
	assert.Equal(t, c, same)

	tests := []struct{ from, to, err string }{
		{`"device": "eth0"`, `"device": ""`, `guard: device must be the name of an interface, not ""`},
		{`"device": "eth0"`, `"device": "eth0/../x"`, "guard: device must be"},
		{`"overlay": "vxlan0"`, `"overlay": "eth0"`, "guard: overlay must be the name of an interface other than device"},
		{`"overlay": "vxlan0"`, `"overlay": "a-name-that-is-too-long"`, "guard: overlay must be"},
		{`"port": 4790`, `"port": 0`, "guard: port must be"},
		{`"port": 4790`, `"port": 65536`, "not as this agent reads it"},
		{`"10.42.0.0/16"`, `"0.0.0.0/0"`, "guard: cluster must hold networks, not 0.0.0.0/0"},
		{`"10.42.0.0/16"`, `"::/0"`, "guard: cluster must hold networks, not ::/0"},
		{`"10.42.0.0/16"`, `"10.42.0.1/16"`, "guard: cluster must hold networks, not 10.42.0.1/16"},
		{`"10.42.0.0/16"`, `"::ffff:10.42.0.0/112"`, "guard: cluster must hold networks"},
		{`"10.42.0.0/16"`, `"10.43.7.0/24"`, "guard: cluster must hold networks that do not overlap, as 10.43.7.0/24 and 10.43.0.0/16 do"},
		{`"10.42.0.0/16"`, `"$(reboot)"`, "not as this agent reads it"},
		{`"10.44.0.9:6443"`, `"10.44.0.9:0"`, "guard: outside must hold addresses with a port"},
		{`"10.44.0.9:6443"`, `"0.0.0.0:53"`, "guard: outside must hold addresses"},
		{`"10.42.0.7"`, `"0.0.0.0"`, "guard: gateways must hold addresses"},
		{`"10.42.0.7"`, `"fe80::1%eth0"`, "guard: gateways must hold addresses"},
		{`"newer": 1}`, `"newer": 1} {}`, "there is more behind its end"},
		{`{"guard"`, `["guard"`, "not as this agent reads it"},
		{whole, "", "not as this agent reads it"},
		{whole, strings.Repeat(" ", configLimit) + "{}", "longer than"},
	}
	for _, test := range tests {
		require.Contains(t, whole, test.from)
		_, err := ParseConfig([]byte(strings.Replace(whole, test.from, test.to, 1)))
		assert.ErrorContains(t, err, test.err, test.to)
	}
}

// Whatever the file holds, what is taken from it can be laid and written again.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"guard": {"device": "eth0", "overlay": "vxlan0", "port": 1}}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseConfig(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(c)
		require.NoError(t, err)
		same, err := ParseConfig(again)
		require.NoError(t, err)
		written, err := json.Marshal(same)
		require.NoError(t, err)
		assert.Equal(t, string(again), string(written))
		for i, p := range c.Guard.Cluster {
			assert.Positive(t, p.Bits(), "the world is no cluster")
			for _, q := range c.Guard.Cluster[:i] {
				assert.False(t, p.Overlaps(q))
			}
		}
	})
}
