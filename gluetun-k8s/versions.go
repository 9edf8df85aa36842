package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// version is what differs between versions of gluetun whichever provider is chosen. What differs for one provider stands in its row of the
// table, under the same name (protocol.in).
type version struct {
	image     string // the newest that has been released
	portRoute string // where its control API tells which ports it has had granted
	oneTarget bool   // tries one target, and makes the tunnel anew after 6 s without an answer from it
	wantsTUN  bool   // looks for /dev/net/tun at its start, whatever it then uses (cmd/gluetun/main.go, internal/tun)
	// The first of its releases that over WireGuard takes the server that is named of a provider it knows: those before look for it under
	// OpenVPN's name (internal/provider/utils/pick.go), choose another one, and say nothing.
	takesServer int
}

// versions are the ones that the table tells apart. In v3.40 the route has a name of its own, and it would not start with today's.
var versions = map[string]version{
	"v3.40":  {image: "ghcr.io/qdm12/gluetun:v3.40.4", portRoute: "/v1/openvpn/portforwarded", oneTarget: true, wantsTUN: true, takesServer: 4},
	"v3.41":  {image: "ghcr.io/qdm12/gluetun:v3.41.1", portRoute: "/v1/portforward", wantsTUN: true},
	"latest": {image: "ghcr.io/qdm12/gluetun:latest", portRoute: "/v1/portforward"},
}

// shipped is the version that this charm names itself.
const shipped = "v3.41"

// release is a gluetun: its version, and which release of it.
type release struct {
	version
	name  string
	patch int
	told  bool // by the image's name, or by this charm's publisher
}

// takesServer says whether over WireGuard it takes the server that is named.
func (r release) takesServer() bool { return r.patch >= r.version.takesServer }

// gluetun is the one that the configuration is for.
func (c Config) gluetun() release { return releaseIn(c.image) }

// numbered is a tag of a release, as people write it: v3.41.1, v3, 3.41, v3.41.1-mirrored. A build's number or a date is none.
var numbered = regexp.MustCompile(`^(v?)([0-9]{1,2})(?:\.([0-9]{1,3}))?(?:\.([0-9]{1,3}))?(?:\.([0-9]{1,3}))?(?:[-+_].*)?$`)

// releaseIn is the gluetun of an image. Of a tag that names fewer numbers than three the newest is meant. One that is newer than the table is
// taken for what has not been released yet; one whose name tells nothing for this charm's own, and for the newest of it.
func releaseIn(image string) release {
	name, digest, _ := strings.Cut(image, "@")
	_, tag, _ := strings.Cut(name[strings.LastIndex(name, "/")+1:], ":")
	n, match := []int{0, 41, 99}, numbered.FindStringSubmatch(tag)
	known := match != nil && (match[1] == "v" || match[2] == "3" && match[3] != "") // without a v it is one that there has been
	for i := 0; known && i < len(n); i++ {
		if number, err := strconv.Atoi(match[i+2]); err == nil { // else it is not named
			n[i] = number
		}
	}
	of := func(name string, told bool) release { return release{versions[name], name, n[2], told} }
	switch {
	case tag == "latest" || strings.HasPrefix(tag, "pr-"):
		return of("latest", true)
	case tag == "" && digest == "" && image != "": // Kubernetes means latest by none, and a registry of one's own may mean what it was given
		return of("latest", false)
	case !known:
		// Charmhub hands the image out that was published with this charm, by digest alone, from its own registry.
		return of(shipped, image == "" || strings.HasPrefix(image, "registry.jujucharms.com/"))
	case slices.Compare(n, []int{3, 42}) >= 0:
		return of("latest", true)
	case slices.Compare(n, []int{3, 41}) < 0:
		if slices.Compare(n, []int{3, 40}) < 0 {
			n[2] = 0
		}
		return of("v3.40", true)
	}
	return of(shipped, true)
}

// versionNote says what is assumed where an image does not tell its version.
func versionNote(o Observed) string {
	g := o.Config.gluetun()
	if g.told {
		return ""
	}
	return fmt.Sprintf("gluetun's image tells no version and is taken for %s: juju attach-resource %s gluetun-image=<with its tag, such as %s@sha256:...>", g.name, o.App, versions[shipped].image)
}
