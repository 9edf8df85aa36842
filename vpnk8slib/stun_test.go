package vpnk8slib

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The sample answers of RFC 5769, 2.2 and 2.3.
const (
	stunQuestion = "000100582112a442b7e7a701bc34d686fa87dfae"
	stunAnswer6  = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f722000200014" + "0002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
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
	seen, err = read(stunAnswer6)
	require.NoError(t, err)
	assert.Equal(t, "2001:db8:1234:5678:11:2233:4455:6677", seen)
	for name, text := range map[string]string{
		"nothing":                   "",
		"half a header":             stunAnswer[:30],
		"an error":                  "0111" + stunAnswer[4:],
		"another question's answer": stunAnswer[:38] + "00" + stunAnswer[40:],
		"no attribute":              stunAnswer[:40],
		"half an attribute":         stunAnswer[:len(stunAnswer)-2],
		"half of an IPv6 address":   stunAnswer[:len(stunAnswer)-16] + "0002a147e112a643",
	} {
		_, err := read(text)
		assert.Error(t, err, name)
	}
}

func FuzzReadSTUN(f *testing.F) {
	question, _ := hex.DecodeString(stunQuestion)
	for _, text := range []string{stunAnswer, stunAnswer6} {
		answer, _ := hex.DecodeString(text)
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		if a, err := readSTUN(answer, question); err == nil {
			assert.True(t, a.IsValid())
		}
	})
}
