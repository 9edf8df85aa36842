package world

import (
	"context"
	"net/netip"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Scrape reads from one pod's network what the agent of another (NAMESPACE/POD) tells Prometheus, over the address that the cluster
// has for it.
func (w World) Scrape(ctx context.Context, from, pod string) (string, error) {
	at, err := w.Address(ctx, pod)
	if err != nil {
		return "", err
	}
	to := netip.AddrPortFrom(at, overlay.MetricsPort)
	return w.Lab(ctx, "exec", "--pod", from, "--", "timeout", "3", "busybox", "wget", "-q", "-O", "-", "http://"+to.String()+"/metrics")
}
