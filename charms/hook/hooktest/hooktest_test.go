package hooktest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/charms/hook/hooktest"
)

type config struct {
	Port   int    `json:"port" validate:"min=1024" example:"8080"`
	Name   string `json:"name"`
	Secret string `json:"secret" validate:"required" example:"secret:vpn-key"` // the operator's to set
}

type params struct {
	Count int `json:"count"`
}

const good = `name: some-k8s
type: charm
title: Some
summary: A charm.
description: It does something.
links: {documentation: a, issues: a, source: a, website: a, contact: a}
assumes: [juju >= 3.6]
platforms: {ubuntu@24.04:amd64: , ubuntu@24.04:arm64: }
containers: {some: {resource: some-image}}
resources: {some-image: {type: oci-image, description: An image., upstream-source: "example/some:1"}}
storage: {some-data: {type: filesystem, description: Where it is.}}
requires: {vpn-gateway: {interface: vpn-gateway, optional: true}}
provides: {metrics: {interface: scrape, optional: true}}
peers: {replicas: {interface: replicas, optional: true}}
config:
  options:
    port: {type: int, default: 8080, description: A port.}
    name: {type: string, default: "", description: A name.}
    secret: {type: secret, description: A secret.}
actions:
  go: {description: Go., params: {count: {type: integer, default: 1, description: How often.}}}
`

var names = hooktest.Names{
	Containers: []string{"some"}, Resources: []string{"some-image"}, Storage: []string{"some-data"},
	Requires: map[string]string{"vpn-gateway": "vpn-gateway"}, Provides: map[string]string{"metrics": "scrape"}, Peers: map[string]string{"replicas": "replicas"},
	Secrets: []string{"secret"}, Actions: []string{"go"}, Params: map[string]any{"go": params{}},
}

// A charm whose code and charmcraft.yaml go together passes; every way in which they can part is found.
func TestCharmcraft(t *testing.T) {
	tests := []struct{ summary, old, new, complaint string }{
		{summary: "they go together"},
		{"an option that the code lost", "    port: {", "    sort: {", "options of the code (left) and of charmcraft.yaml"},
		{"an option of another type", "type: int,", "type: string,", "type of option port"},
		{"a default that the code refuses", "default: 8080", "default: 80", "the smallest allowed is 1024"},
		{"a container that the code lost", "containers: {some:", "containers: {other:", "containers"},
		{"a container without its resource", "resource: some-image", "resource: other-image", "resource of container some"},
		{"a resource that is no image", "type: oci-image", "type: file", "type of resource some-image"},
		{"a storage that the code lost", "storage: {some-data:", "storage: {other-data:", "storage"},
		{"an endpoint that the code lost", "requires: {vpn-gateway:", "requires: {vpn:", "endpoints that are required"},
		{"another interface", "interface: vpn-gateway", "interface: vpn", "endpoints that are required"},
		{"an endpoint on the other side", "requires: {vpn-gateway: {interface: vpn-gateway, optional: true}}\nprovides: {", "provides: {vpn-gateway: {interface: vpn-gateway, optional: true}, ", "endpoints that are required"},
		{"an endpoint that the code does not provide", "provides: {metrics:", "provides: {graphs:", "endpoints that are provided"},
		{"peers that the code lost", "peers: {replicas:", "peers: {others:", "endpoints between peers"},
		{"a secret's id as any text", "type: secret", "type: string", "options that hold a secret's id"},
		{"a text that Juju takes for a secret's id", "type: string", "type: secret", "options that hold a secret's id"},
		{"an action that the code lost", "  go: {", "  stop: {", "parameters of action stop"},
		{"a parameter that the code lost", "{count: {", "{amount: {", "parameters of action go"},
		{"a parameter of another type", "{type: integer", "{type: string", "type of parameter count of action go"},
		{"a parameter that may be missing", "type: integer, default: 1", "type: integer", "parameter count of action go has a default, or is required"},
		{"no title", "title: Some", "title:", "title"},
		{"an old Juju", "juju >= 3.6", "juju >= 3.1", "juju >= 3.6"},
		{"an endpoint that does not say whether it is optional", "interface: vpn-gateway, optional: true", "interface: vpn-gateway", "endpoint vpn-gateway says whether it is optional"},
		{"peers that do not say it", "interface: replicas, optional: true", "interface: replicas", "endpoint replicas says whether it is optional"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			if test.old != "" {
				require.Equal(t, 1, strings.Count(good, test.old), "%q stands once", test.old)
			}
			path := filepath.Join(t.TempDir(), "charmcraft.yaml")
			require.NoError(t, os.WriteFile(path, []byte(strings.Replace(good, test.old, test.new, 1)), 0o600))
			r := &recorder{TB: t}
			done := make(chan struct{})
			go func() { // FailNow ends it
				defer close(done)
				hooktest.Charmcraft(r, path, config{}, names)
			}()
			<-done
			if test.complaint == "" {
				assert.Empty(t, r.complaints)
			} else {
				assert.Contains(t, r.complaints, test.complaint)
			}
		})
	}
}

// recorder is a test that may fail without failing this one.
type recorder struct {
	testing.TB
	complaints string
}

func (r *recorder) Errorf(format string, args ...any) { r.complaints += fmt.Sprintf(format, args...) }
func (r *recorder) FailNow()                          { runtime.Goexit() }

// A refusal names a value that would do: of the rule where it has one, else of the tag.
func TestCharmcraftWantsExamples(t *testing.T) {
	type noExample struct {
		Port   int    `json:"port" validate:"min=1024"`
		Colour string `json:"colour" validate:"oneof=red blue"`
	}
	path := filepath.Join(t.TempDir(), "charmcraft.yaml")
	require.NoError(t, os.WriteFile(path, []byte("config: {options: {port: {type: int, default: 8080, description: d}, colour: {type: string, default: red, description: d}}}"), 0o600))
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		hooktest.Charmcraft(r, path, noExample{}, hooktest.Names{})
	}()
	<-done
	assert.Contains(t, r.complaints, "option port can be refused, and no value is told that would do")
	assert.NotContains(t, r.complaints, "option colour can be refused")
}
