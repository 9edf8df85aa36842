package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// start is what the charm gives gluetun for one provider and protocol, as its own tests wrote it down.
type start struct {
	Provider, Type, Protocol string
	Environment, Files       map[string]string
	Needs                    []string
}

func (s start) judge() error {
	read := func(path string) ([]byte, error) {
		if text, ok := s.Files[path]; ok {
			return []byte(text), nil
		}
		return nil, os.ErrNotExist
	}
	settings, err := readSettings(func(name string) string { return s.Environment[name] }, read)
	if err == nil {
		err = settings.validate(read)
	}
	return err
}

func starts(t *testing.T) (out []start) {
	t.Helper()
	text, err := os.ReadFile("../../../../gluetun-k8s/testdata/environments.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &out))
	require.NotEmpty(t, out)
	return out
}

// What the charm asks for is enough, and nothing of it is too much: what it calls needed gluetun refuses to start without.
func TestTheCharmsEnvironments(t *testing.T) {
	for _, s := range starts(t) {
		t.Run(s.Provider+" "+s.Type+" "+s.Protocol, func(t *testing.T) {
			require.NoError(t, s.judge())
			for _, path := range s.Needs {
				text := s.Files[path]
				delete(s.Files, path)
				if s.Provider == "windscribe" && path == "/run/vpn-secrets/preshared-key" {
					assert.NoError(t, s.judge(), "its servers ask for it, gluetun does not")
				} else {
					assert.Error(t, s.judge(), "without %s", path)
				}
				s.Files[path] = text
			}
		})
	}
}

// Each target that the charm tries gluetun tries as well: by the list of today's name, before which it reads an older one.
func TestItLooksAtTheCharmsTargets(t *testing.T) {
	s := starts(t)[0]
	judge := func() []string {
		settings, err := readSettings(func(name string) string { return s.Environment[name] }, func(string) ([]byte, error) { return nil, os.ErrNotExist })
		require.NoError(t, err)
		return settings.healthTargets
	}
	require.Equal(t, []string{"1.1.1.1:443", "9.9.9.9:443"}, judge())
	s.Environment["HEALTH_TARGET_ADDRESS"] = "192.0.2.1:443"
	assert.Equal(t, []string{"192.0.2.1:443"}, judge())
}

// One that is unknown beside others is passed over, as gluetun does.
func TestOneOfItsListIsEnough(t *testing.T) {
	for _, s := range starts(t) {
		if s.Provider == "mullvad" && s.Type == "wireguard" {
			s.Environment["SERVER_COUNTRIES"], s.Environment["SERVER_CITIES"] = "Atlantis,sweden", ""
			assert.NoError(t, s.judge())
		}
	}
}

// What gluetun refuses the stand-in refuses.
func TestRefusals(t *testing.T) {
	tests := []struct {
		summary                  string
		provider, kind, protocol string
		name, value              string
		wrong                    string
	}{
		{"a provider that is none", "mullvad", "openvpn", "udp", "VPN_SERVICE_PROVIDER", "wevpn", "provider name is not valid"},
		{"a type that is none", "mullvad", "wireguard", "udp", "VPN_TYPE", "amneziawg", "VPN type is not valid"},
		{"TCP where there is none", "vyprvpn", "openvpn", "udp", "OPENVPN_PROTOCOL", "tcp", "TCP protocol is not supported"},
		{"a protocol that is none", "torguard", "openvpn", "udp", "OPENVPN_PROTOCOL", "sctp", "network protocol"},
		{"a port that cannot be chosen", "surfshark", "openvpn", "udp", "OPENVPN_ENDPOINT_PORT", "1194", "custom endpoint port is not allowed"},
		{"a port of the other protocol", "ivpn", "openvpn", "tcp", "OPENVPN_ENDPOINT_PORT", "2049", "custom endpoint port is not allowed"},
		{"a filter without data", "perfect privacy", "openvpn", "udp", "SERVER_COUNTRIES", "Iceland", "the countries specified is not valid"},
		{"a country of which its list has none", "mullvad", "wireguard", "udp", "SERVER_COUNTRIES", "Atlantis,Lemuria", "none of Atlantis, Lemuria is one of the choices"},
		{"a filter of another's", "nordvpn", "openvpn", "udp", "OWNED_ONLY", "on", "owned_only filter is not supported"},
		{"a version that is none", "nordvpn", "openvpn", "udp", "OPENVPN_VERSION", "2.4", "version is not valid"},
		{"a boolean that is none", "mullvad", "openvpn", "udp", "OWNED_ONLY", "maybe", "value is not a boolean"},
		{"ports of who leads none", "mullvad", "wireguard", "udp", "VPN_PORT_FORWARDING", "on", "port forwarding cannot be enabled"},
		{"the same by a retired name", "mullvad", "wireguard", "udp", "PORT_FORWARDING", "on", "port forwarding cannot be enabled"},
		{"a preset that is none", "private internet access", "openvpn", "udp", "PRIVATE_INTERNET_ACCESS_OPENVPN_ENCRYPTION_PRESET", "best", "preset is not valid"},
		{"a retired name before today's", "custom", "openvpn", "udp", "PROTOCOL", "sctp", "network protocol"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			found := false
			for _, s := range starts(t) {
				if s.Provider == test.provider && s.Type == test.kind && s.Protocol == test.protocol {
					found = true
					s.Environment[test.name] = test.value
					assert.ErrorContains(t, s.judge(), test.wrong)
				}
			}
			assert.True(t, found)
		})
	}
}

// The names of before that gluetun reads first are all known to the charm, which sets each of them to nothing; but for one, which v3.40 reads.
func TestRetiredNames(t *testing.T) {
	text, err := os.ReadFile("../../../../gluetun-k8s/retired.go")
	require.NoError(t, err)
	list := strings.Split(string(text), "`") // its comment has names as well
	require.Len(t, list, 3)
	closed := append(strings.Fields(list[1]), "HEALTH_TARGET_ADDRESS")
	for name, before := range retired {
		for _, b := range before {
			assert.Contains(t, closed, b, name)
		}
	}
}
