//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"
)

// reached MODEL/POD PORT[/udp]...: of all at which anybody in the pod listens, a pod that nothing protects reaches these ports and no other; not
// even those of gluetun's own servers, its names' too, while somebody listens there on the pod's own address, whom the pod itself reaches
func (w *teller) reached(ts *testscript.TestScript, _ bool, a []string) {
	ctx, pod := context.Background(), a[0]
	gluetuns, names := []uint16{8000, 9999}, uint16(53) // its control API, its health; by UDP
	inside, outside, err := w.Reached(ctx, pod, gluetuns...)
	ts.Check(err)
	insideUDP, outsideUDP, err := w.ReachedByUDP(ctx, pod, names)
	ts.Check(err)
	for _, port := range gluetuns {
		if !slices.Contains(inside, port) {
			ts.Fatalf("the control is blind: nobody is there at port %d in %s itself: %v", port, pod, inside)
		}
	}
	if !slices.Contains(insideUDP, names) {
		ts.Fatalf("the control is blind: nothing is noted of what %s sends itself to port %d by UDP: %v", pod, names, insideUDP)
	}
	want, got := slices.Sorted(slices.Values(a[1:])), []string{}
	for _, port := range outside {
		got = append(got, fmt.Sprint(port))
	}
	for _, port := range outsideUDP {
		got = append(got, fmt.Sprintf("%d/udp", port))
	}
	slices.Sort(got)
	if !slices.Equal(want, got) {
		ts.Fatalf("a pod of the cluster reaches ports %v of %s, and is to reach %v; somebody is there at %v, and by UDP at %v", got, pod, want, inside, insideUDP)
	}
}
