package vpnk8slib

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The kernel answers for the loopback.
func TestPing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for _, to := range []string{"127.0.0.1", "::1"} {
		said, err := ping(ctx, netip.MustParseAddr(to))
		if errors.Is(err, os.ErrPermission) {
			t.Skip("neither a socket for echoes nor a raw one may be had here")
		}
		require.NoError(t, err)
		assert.Equal(t, "an echo of "+to, said)
	}
}

func TestEchoes(t *testing.T) {
	q := echo4.ask()
	sum := uint32(0)
	for i := 0; i < len(q); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(q[i:]))
	}
	assert.EqualValues(t, 0xffff, sum>>16+sum&0xffff, "a message and its checksum add up to that")
	assert.False(t, echo4.answers(q, q), "a question is no answer")
	answer := append([]byte{echo4.answer, 0, 1, 2, 3, 4, 5, 6}, q[echoHeader:]...)
	assert.True(t, echo4.answers(answer, q), "whatever its numbers")
	assert.False(t, echo4.answers(append([]byte{echo4.answer, 0, 1, 2, 3, 4, 5, 6}, echo4.ask()[echoHeader:]...), q), "another's")
	assert.False(t, echo4.answers(answer[:10], q))
}
