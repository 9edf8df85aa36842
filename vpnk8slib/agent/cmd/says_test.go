package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// A program that goes on trying to leave beside the overlay is told of; the few packets that a kernel sends by itself are not.
func TestLeaves(t *testing.T) {
	tests := []struct {
		summary     string
		before, now uint64
		want        overlay.Word
	}{
		{"nothing", 7, 7, overlay.No},
		{"a pod that begins", 0, 9, overlay.No},
		{"once a second", 100, 110, overlay.No},
		{"more than that", 100, 111, overlay.Yes},
		{"a guard that was taken away counts anew", 100, 3, overlay.Unknown},
	}
	for _, test := range tests {
		assert.Equal(t, test.want, leaves(test.before, true, test.now, true), test.summary)
	}
	assert.Equal(t, overlay.Unknown, leaves(0, false, 500, true), "nobody knows what it was before")
	assert.Equal(t, overlay.Unknown, leaves(0, true, 0, false), "the kernel does not answer")
}
