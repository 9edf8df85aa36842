package vpnk8slib

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The sample answer of RFC 5769, 2.2.
const (
	stunQuestion = "000100582112a442b7e7a701bc34d686fa87dfae"
	stunAnswer   = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f722000200008" + "0001a147e112a643"
)

func TestReadSTUN(t *testing.T) {
	read := func(text string) (string, error) {
		answer, err := hex.DecodeString(text)
		require.NoError(t, err)
		question, err := hex.DecodeString(stunQuestion)
		require.NoError(t, err)
		a, err := readSTUN(answer, question)
		return a.String(), err
	}
	seen, err := read(stunAnswer)
	require.NoError(t, err)
	assert.Equal(t, "192.0.2.1", seen)
	for name, text := range map[string]string{
		"nothing":                   "",
		"half a header":             stunAnswer[:30],
		"an error":                  "0111" + stunAnswer[4:],
		"another question's answer": stunAnswer[:38] + "00" + stunAnswer[40:],
		"no attribute":              stunAnswer[:40],
		"half an attribute":         stunAnswer[:len(stunAnswer)-2],
		"IPv6 alone":                stunAnswer[:len(stunAnswer)-16] + "0002a147e112a643",
	} {
		_, err := read(text)
		assert.Error(t, err, name)
	}
}

func FuzzReadSTUN(f *testing.F) {
	answer, _ := hex.DecodeString(stunAnswer)
	question, _ := hex.DecodeString(stunQuestion)
	f.Add(answer)
	f.Fuzz(func(t *testing.T, answer []byte) {
		if a, err := readSTUN(answer, question); err == nil {
			assert.True(t, a.Is4())
		}
	})
}
