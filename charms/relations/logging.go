package relations

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Logs is the interface loki_push_api (v1), from the side that has logs: the application's databag. Its alerts are over metrics: it has no
// rules over its logs, and says so.
func Logs(t Topology) (map[string]string, error) {
	who, err := text(t)
	return map[string]string{"metadata": who, "alert_rules": "{}"}, err
}

// LokiURL is where a unit of a Loki takes logs, by its databag of the interface loki_push_api (v1). Empty: it does not say yet.
func LokiURL(databag map[string]string) (string, error) {
	raw := databag["endpoint"]
	if raw == "" {
		return "", nil
	}
	var endpoint struct{ URL string }
	if err := json.Unmarshal([]byte(raw), &endpoint); err != nil {
		return "", fmt.Errorf("endpoint must be an object with a url: %w", err)
	}
	u, err := url.Parse(endpoint.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", errors.New("endpoint must have a url such as http://loki-0.loki-endpoints.cos.svc.cluster.local:3100/loki/api/v1/push")
	}
	return endpoint.URL, nil
}

// ErrElsewhere is why nothing is sent to an address that is not Inside.
var ErrElsewhere = errors.New("it is not in this cluster")

// Inside says whether a URL leads to the cluster itself: an address of its networks, or a name of its domain. What leads elsewhere
// would go through a tunnel, or nowhere.
func Inside(to string, networks []netip.Prefix, domain string) bool {
	u, err := url.Parse(to)
	if err != nil {
		return false
	}
	host := u.Hostname()
	if a, err := netip.ParseAddr(host); err == nil {
		return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
	}
	return domain != "" && strings.HasSuffix(strings.TrimSuffix(strings.ToLower(host), "."), ".svc."+domain)
}
