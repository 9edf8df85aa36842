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
