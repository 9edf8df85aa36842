package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
)

// control is gluetun's control API: the routes that a gateway's charm uses, with its roles.
type control struct {
	vpn    *vpn
	roles  []role
	public bool // no roles file: some routes are open to everybody
}

type role struct {
	name, auth, key string
	routes          []string
}

// open are the routes that v3.41.1 serves to everybody where no role is configured.
var open = []string{"GET /v1/version", "GET /v1/vpn/status", "PUT /v1/vpn/status", "GET /v1/publicip/ip", "GET /v1/dns/status", "GET /v1/portforward"}

// known are all routes of v3.41.1 that a role may name; another one in the file is fatal.
var known = append([]string{"GET /v1/vpn/settings", "PUT /v1/vpn/settings", "GET /v1/openvpn/status", "PUT /v1/openvpn/status", "GET /v1/openvpn/portforwarded",
	"GET /v1/openvpn/settings", "PUT /v1/dns/status", "GET /v1/updater/status", "PUT /v1/updater/status"}, open...)

func newControl(s settings, v *vpn) (*control, error) {
	data, err := os.ReadFile(s.authFile)
	if errors.Is(err, os.ErrNotExist) {
		return &control{vpn: v, public: true}, nil
	}
	if err != nil {
		return nil, err
	}
	roles, err := parseRoles(string(data))
	if err != nil {
		return nil, fmt.Errorf("cannot read control server authentication file: %w", err)
	}
	return &control{vpn: v, roles: roles}, nil
}

var quoted = regexp.MustCompile(`"([^"]*)"`)

// parseRoles reads the roles file: TOML of one shape, strict in its fields and routes.
func parseRoles(text string) (roles []role, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if line == "[[roles]]" {
			roles = append(roles, role{})
			continue
		}
		field, value, ok := strings.Cut(line, "=")
		if !ok || len(roles) == 0 {
			return nil, fmt.Errorf("unexpected %q", line)
		}
		var values []string
		for _, m := range quoted.FindAllStringSubmatch(value, -1) {
			values = append(values, m[1])
		}
		if len(values) == 0 {
			return nil, fmt.Errorf("no value in %q", line)
		}
		r := &roles[len(roles)-1]
		switch strings.TrimSpace(field) {
		case "name":
			r.name = values[0]
		case "auth":
			r.auth = values[0]
		case "apikey":
			r.key = values[0]
		case "routes":
			for _, v := range values {
				if !slices.Contains(known, v) {
					return nil, fmt.Errorf("route is not supported: %q", v)
				}
			}
			r.routes = values
		default:
			return nil, fmt.Errorf("unknown field %q", field)
		}
	}
	return roles, nil
}

func (c *control) allowed(r *http.Request) bool {
	route := r.Method + " " + r.URL.Path
	if c.public {
		return slices.Contains(open, route)
	}
	return slices.ContainsFunc(c.roles, func(o role) bool {
		return slices.Contains(o.routes, route) && (o.auth == "none" || (o.auth == "apikey" && o.key != "" && r.Header.Get("X-API-Key") == o.key))
	})
}

func (c *control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !c.allowed(r) {
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	status, ip := c.vpn.get()
	switch r.Method + " " + r.URL.Path {
	case "GET /v1/version":
		answer(w, map[string]string{"version": "v3.41.1", "commit": "stand-in", "created": ""})
	case "GET /v1/vpn/status":
		answer(w, map[string]string{"status": status})
	case "GET /v1/publicip/ip": // cached, and 200 whatever it is
		answer(w, map[string]string{"public_ip": ip})
	case "GET /v1/dns/status":
		answer(w, map[string]string{"status": "stopped"})
	case "GET /v1/portforward":
		answer(w, portAnswer(c.vpn.forwarded()))
	default:
		http.Error(w, "the stand-in does not do "+r.Method+" "+r.URL.Path, http.StatusNotImplemented)
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
