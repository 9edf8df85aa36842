package vpnk8slib

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTUN(t *testing.T) {
	for _, name := range []string{"", "privileged", "squat.ai/tun", "smarter-devices/net_tun", "devices.kubevirt.io/tun"} {
		var tun TUN
		assert.NoError(t, tun.UnmarshalText([]byte(name)), name)
		assert.Equal(t, TUN(name), tun)
	}
	for _, name := range []string{"yes", "tun", "/dev/net/tun", "a/b/c", "kubernetes.io/tun", "requests.kubernetes.io/tun", "squat.ai/tun:1", "squat.ai/", "squat ai/tun"} {
		var tun TUN
		assert.Error(t, tun.UnmarshalText([]byte(name)), name)
	}
}

// Who stays root gets no right over other users, and whom the operator made privileged has them all.
func TestRights(t *testing.T) {
	assert.Equal(t, []string{"NET_ADMIN", "NET_RAW", "CHOWN", "DAC_OVERRIDE"}, TUN("squat.ai/tun").rights(false).Capabilities.Add)
	assert.Equal(t, []string{"NET_ADMIN", "NET_RAW", "CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID"}, TUN("").rights(true).Capabilities.Add)
	for _, drops := range []bool{false, true} {
		assert.Equal(t, []string{"ALL"}, TUN("squat.ai/tun").rights(drops).Capabilities.Drop)
		assert.Equal(t, &securityContext{Privileged: ptr(true)}, Privileged.rights(drops))
	}
}
