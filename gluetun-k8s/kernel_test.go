package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestKernelHas(t *testing.T) {
	assert.True(t, kernelHas("nlctrl"), "by which it tells of all the others")
	assert.False(t, kernelHas("no-such-family"))
}
