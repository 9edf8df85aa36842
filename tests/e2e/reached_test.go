//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"
)

// reached MODEL/POD PORT...: of all at which anybody in the pod listens, a pod that nothing protects reaches these ports by TCP and no
// other, not even those of gluetun's own servers while somebody listens there on the pod's own address, whom the pod itself reaches
func (w *teller) reached(ts *testscript.TestScript, _ bool, a []string) {
	gluetuns := []uint16{8000, 9999} // its control API, its health
	inside, outside, err := w.Reached(context.Background(), a[0], gluetuns...)
	ts.Check(err)
	for _, port := range gluetuns {
		if !slices.Contains(inside, port) {
			ts.Fatalf("the control is blind: nobody is there at port %d in %s itself: %v", port, a[0], inside)
		}
	}
	want := append([]string{}, a[1:]...)
	var got []string
	for _, port := range outside {
		got = append(got, fmt.Sprint(port))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		ts.Fatalf("a pod of the cluster reaches ports %v of %s, and is to reach %v; somebody is there at %v", got, a[0], want, inside)
	}
}
