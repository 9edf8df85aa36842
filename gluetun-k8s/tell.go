package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// held says whether an image is still to be proven before anything of a new route is laid: until then consumers are to keep to the one
// that this pod has.
func held(planned error) bool {
	var trial *vpnk8slib.TrialError
	return errors.As(planned, &trial) && trial.Held
}

// tell publishes to each consumer what there is for it, and says what there is not. Where what is laid stays, so does what was said.
func tell(o Observed, data vpnk8slib.ProviderData, stays bool, d *hook.Desired) (notes []string) {
	d.Publish = map[string]map[string]string{}
	if o.Broken != "" {
		d.Forget = []string{vpnk8slib.KeyLabel(o.Broken)}
	}
	for _, c := range o.Consumers {
		if stays && d.Soon != (hook.Soon{}) && o.Said[c.Relation] == nil {
			continue // it is new, and is told in a moment: by what is laid now its pod would be made twice
		}
		mine, err := told(o, data, stays, c)
		if !o.blind() {
			if mine.Port = nil; mine.VPNConnected { // what was said of a port before is as old as the lease
				mine.Port = vpnk8slib.PortOf(o.Pod.Agent, c)
			}
		}
		if err == nil {
			databag, unfit := mine.Encode()
			if unfit == nil {
				d.Publish[c.Relation] = databag
			} else {
				notes = append(notes, fmt.Sprintf("cannot tell %s of this gateway: %v", cmp.Or(c.Data.InstanceName, c.App), unfit))
			}
		}
		switch key := o.Leases.Keys[vpnk8slib.LeaseName(c.Relation)]; {
		case stays:
		case err != nil && !errors.Is(err, vpnk8slib.ErrNotReady) && c.Err == nil:
			notes = append(notes, err.Error())
		case key == "" || c.Err != nil:
		default:
			d.Secrets = append(d.Secrets, hook.SecretWant{
				Label: vpnk8slib.KeyLabel(c.Relation), Description: "The key of " + c.Data.InstanceName + " to this gateway's overlay.",
				Content: map[string]string{vpnk8slib.KeyField: key}, Relation: c.Relation, Again: container,
			})
		}
	}
	return notes
}

// told is what a consumer is told: what is laid, with the tunnel as it is now. Nothing, where neither is known.
func told(o Observed, data vpnk8slib.ProviderData, stays bool, c vpnk8slib.Consumer) (vpnk8slib.ProviderData, error) {
	up, known := o.Container.Checks[tunnelCheck]
	if refused(o, "probe-targets") && (up || !known) { // nobody has looked; that it is down the check has said all the same
		return vpnk8slib.ProviderData{}, vpnk8slib.ErrNotReady
	}
	if !stays {
		return gateway(o, data).Offer(c, o.Secrets[c.Relation])
	}
	said, err := vpnk8slib.DecodeProviderData(o.App, o.saidTo(c))
	switch {
	case err != nil && o.ViewErr == nil: // nothing was said yet, and the options that are refused may be others
		if said, err = gateway(o, data).Offer(c, ""); err != nil {
			return said, err
		}
	case err != nil:
		return said, err
	}
	if o.blind() {
		return said, nil
	}
	pod, _, _ := strings.Cut(said.GatewayDNSName, ".")
	said.VPNConnected, said.ExternalIP = data.VPNConnected, data.ExternalIP
	if agent := o.Pod.Agent; agent != nil && agent.Gateway != nil && said.Overlay == nil { // this pod has no way for that one
		said.VPNConnected, said.ExternalIP = false, netip.Addr{}
	}
	if pod != o.holder() { // it leads to another unit's pod, whose tunnel is not this one
		said.VPNConnected, said.ExternalIP = false, netip.Addr{}
	}
	return said, nil
}

// saidTo is what a consumer was told last. A relation that is new has heard nothing yet: it is told what another was, if that is
// for everybody.
func (o Observed) saidTo(c vpnk8slib.Consumer) map[string]string {
	if said := o.Said[c.Relation]; said != nil {
		return said
	}
	for _, relation := range slices.Sorted(maps.Keys(o.Said)) {
		if d, err := vpnk8slib.DecodeProviderData(o.App, o.Said[relation]); err == nil && d.Overlay == nil {
			return o.Said[relation]
		}
	}
	return nil
}
