package hook

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type someConfig struct {
	VPNOptions
	Port int    `json:"port" validate:"min=1024,max=65535"`
	Zone string `json:"timezone" validate:"zone"`
}

func TestConfig(t *testing.T) {
	good := func() map[string]any {
		return map[string]any{"unsafe-mode": true, "cluster-cidrs": "10.1.0.0/16, 10.152.183.0/24", "pod-gateway-image": "ghcr.io/angelnu/pod-gateway:v1.13.0", "vpn-agent-image": "ghcr.io/charmarr/vpn-agent:v0.1.0", "port": 8080, "timezone": "Europe/Berlin", "of-another-charm": 1}
	}
	tests := []struct {
		summary string
		option  string
		value   any
		words   string // empty: accepted
	}{
		{"all in place", "port", 8080, ""},
		{"an image by digest", "pod-gateway-image", "example.org:5000/a/b@sha256:0123456789012345678901234567890123456789012345678901234567890123", ""},
		{"no networks: discovered", "cluster-cidrs", "", ""},
		{"a port of root's", "port", 80, `cannot use option port="80": the smallest allowed is 1024: juju config qbittorrent port=1024`},
		{"no image", "pod-gateway-image", "", `cannot use option pod-gateway-image="": it must be set: juju config qbittorrent pod-gateway-image=ghcr.io/angelnu/pod-gateway:v1.13.0`},
		{"a command where an image belongs", "pod-gateway-image", "a:b; rm -rf /", `set an image reference such as ghcr.io/owner/name:tag`},
		{"a command where a zone belongs", "timezone", "$(id)", `cannot use option timezone="$(id)": set a time zone`},
		{"a path where a zone belongs", "timezone", "../../etc/passwd", `set a time zone`},
		{"no network at all", "cluster-cidrs", "10.1.0.0/16,everything", `cannot use option cluster-cidrs="10.1.0.0/16,everything": `},
		{"the whole internet", "cluster-cidrs", "0.0.0.0/0", `cannot use option cluster-cidrs="0.0.0.0/0": `},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			options := good()
			options[test.option] = test.value
			juju(t, model{Config: options}, "config-changed")
			c, err := Config[someConfig]()
			assert.True(t, c.UnsafeMode, "one bad option leaves the others readable")
			if test.words == "" {
				require.NoError(t, err)
				return
			}
			var wrong *OptionError
			require.ErrorAs(t, err, &wrong)
			assert.Equal(t, test.option, wrong.Name)
			if test.option == "cluster-cidrs" {
				assert.Empty(t, c.ClusterCIDRs, "what was refused is not used, nor half of it")
			}
			assert.ErrorContains(t, err, test.words)
		})
	}
	t.Run("two wrong ones are both told", func(t *testing.T) {
		options := good()
		options["port"], options["timezone"] = 1, ""
		juju(t, model{Config: options}, "config-changed")
		c, err := Config[someConfig]()
		assert.ErrorContains(t, err, "port=")
		assert.ErrorContains(t, err, "timezone=")
		assert.Zero(t, c.Port, "what was refused is not used")
		assert.Equal(t, Blocked(`cannot use option port="1": the smallest allowed is 1024: juju config qbittorrent port=1024; `+
			`cannot use option timezone="": set a time zone such as Etc/UTC or Europe/Berlin: juju config qbittorrent timezone=Etc/UTC`), Valid(err).Why)
		var names []string
		for _, wrong := range Refusals(err) {
			names = append(names, wrong.Name)
		}
		assert.Equal(t, []string{"port", "timezone"}, names)
	})
	t.Run("what cannot be read is told once, whatever rule it breaks as well", func(t *testing.T) {
		options := good()
		options["port"] = "many"
		juju(t, model{Config: options}, "config-changed")
		_, err := Config[someConfig]()
		assert.EqualError(t, err, `cannot use option port="many": set a number, not a string: juju config qbittorrent port=...`)
	})
	t.Run("a list, and a choice", func(t *testing.T) {
		juju(t, model{Config: map[string]any{"targets": []string{}, "kind": "green"}}, "config-changed")
		_, err := Config[struct {
			Targets []string `json:"targets" validate:"min=1" example:"a,b"`
			Kind    string   `json:"kind" validate:"oneof=blue red"`
		}]()
		assert.ErrorContains(t, err, `set at least 1: juju config qbittorrent targets=a,b`)
		assert.ErrorContains(t, err, `set one of blue, red: juju config qbittorrent kind=<blue|red>`)
	})
	t.Run("a parameter has no command of its own", func(t *testing.T) {
		_, err := ReadParams[someConfig](Params{values{"port": []byte("80"), "timezone": []byte(`"UTC"`), "pod-gateway-image": []byte(`"a"`), "vpn-agent-image": []byte(`"a"`)}})
		assert.EqualError(t, err, `cannot use parameter port="80": the smallest allowed is 1024`)
	})
	t.Run("Juju's own failure is not the operator's", func(t *testing.T) {
		juju(t, model{FailAt: 1}, "config-changed")
		_, err := Config[someConfig]()
		var wrong *OptionError
		require.Error(t, err)
		assert.False(t, errors.As(err, &wrong))
	})
}
