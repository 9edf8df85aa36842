package natpmp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAnswers(t *testing.T) {
	asked := Mapping{Protocol: TCP, Inner: 0xd012, Outer: 40001, Lifetime: time.Minute}
	granted := []byte{0, 130, 0, 0, 0, 0, 0, 9, 0xd0, 0x12, 0x9c, 0x41, 0, 0, 0, 60}
	with := func(at int, v ...byte) []byte {
		b := append([]byte{}, granted...)
		copy(b[at:], v)
		return b
	}
	for summary, test := range map[string]struct {
		answer []byte
		err    error
	}{
		"granted":                     {granted, nil},
		"of another version":          {with(0, 1), errForeign},
		"to the other protocol":       {with(1, 129), errForeign},
		"a question":                  {with(1, 2), errForeign},
		"out of ports":                {with(3, 4), Refusal(4)},
		"refused, and cut off there":  {with(3, 2)[:8], Refusal(2)},
		"cut off":                     {granted[:15], errForeign},
		"nothing":                     {nil, errForeign},
		"port 0":                      {with(10, 0, 0), Refusal(4)},
		"for no time":                 {with(12, 0, 0, 0, 0), Refusal(4)},
		"longer than there is to say": {append(with(0), 1, 2, 3), nil},
	} {
		t.Run(summary, func(t *testing.T) {
			got, err := asked.answer(test.answer)
			assert.ErrorIs(t, err, test.err)
			if test.err == nil {
				assert.Equal(t, Mapping{TCP, 0xd012, 40001, time.Minute}, got)
			}
		})
	}
	assert.Equal(t, []byte{0, 2, 0, 0, 0xd0, 0x12, 0x9c, 0x41, 0, 0, 0, 60}, asked.request())
}

// Whatever comes, a mapping that was asked for is one with a port and some time, or there is an error.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte{0, 129, 0, 0, 0, 0, 0, 9, 0xd0, 0x12, 0x9c, 0x41, 0, 0, 0, 60})
	f.Add([]byte{0, 129, 0, 3, 0, 0, 0, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Mapping{Protocol: UDP, Lifetime: time.Minute}.answer(b)
		if err == nil && (got.Outer == 0 || got.Lifetime <= 0) || err != nil && got != (Mapping{}) {
			t.Fatalf("%x: %v, %v", b, got, err)
		}
	})
}
