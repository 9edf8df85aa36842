package world

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Scrape reads from one pod's network what the agent of another (NAMESPACE/POD) tells Prometheus, over the address that the cluster
// has for it.
func (w World) Scrape(ctx context.Context, from, pod string) (string, error) {
	namespace, name, _ := strings.Cut(pod, "/")
	address, err := w.Kubectl(ctx, "-n", namespace, "get", "pod", name, "-o", "jsonpath={.status.podIP}")
	if err != nil {
		return "", err
	}
	at, err := netip.ParseAddr(strings.TrimSpace(address))
	if err != nil {
		return "", fmt.Errorf("cannot find %s: %w", pod, err)
	}
	to := netip.AddrPortFrom(at, overlay.MetricsPort)
	return w.Lab(ctx, "exec", "--pod", from, "--", "timeout", "3", "busybox", "wget", "-q", "-O", "-", "http://"+to.String()+"/metrics")
}
