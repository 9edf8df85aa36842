package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The last word on an account counts, and only where another account would help.
func TestAnswer(t *testing.T) {
	const refused, stands = "ERROR [openvpn] AUTH: Received control message: AUTH_FAILED", "INFO [openvpn] Initialization Sequence Completed"
	tests := []struct {
		summary string
		lines   []string
		want    answer
	}{
		{"nothing was said", nil, false},
		{"it is refused", []string{"INFO [openvpn] UDPv4 link local: (not bound)", refused, "INFO [openvpn] SIGUSR1[soft,auth-failure] received, process restarting"}, true},
		{"with a reason", []string{refused + ",LOG: account expired"}, true},
		{"it was taken later", []string{refused, refused, stands}, false},
		{"it was taken once, and is refused now", []string{stands, refused, "STAND-IN for gluetun"}, true},
		{"the server is busy", []string{refused + ",TEMP[backoff 30,advance no]"}, false},
		{"the ciphers do not go together", []string{refused + ",Data channel cipher negotiation failed (no shared cipher)"}, false},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			var last answer
			for _, line := range test.lines {
				last.read(line)
			}
			assert.Equal(t, test.want, last)
		})
	}
}
