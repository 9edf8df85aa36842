package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// container is gluetun's, and service is what its Pebble calls it.
const container, service = "gluetun", "gluetun"

// Observed is what one hook sees.
type Observed struct {
	hook.Unit
	Config      Config
	ConfigErr   error // what the operator has to mend in it
	Secret      Secret
	SecretErr   error
	View        vpnk8slib.GatewayView
	ViewErr     error // why it could not be had
	Pod         vpnk8slib.Pod
	Container   hook.Seen
	LetOut      string // what gluetun's firewall lets go beside the tunnel, as it runs; empty: it does not
	Tunnel      Tunnel
	Says        ofTunnel // to the other units, where it has the tunnel
	Shared      []string // what is told of options of the overlay that another gateway has as well
	NoWireGuard bool     // the kernel of this node has no WireGuard, and gluetun could use no other
	Consumers   []vpnk8slib.Consumer
	Others      []string          // units of this gateway
	Peers       []string          // relations between them: there is one
	Standby     vpnk8slib.Standby // by which they agree
	Leases      vpnk8slib.Leases  // of consumers that an overlay routes
	Secrets     map[string]string // with their keys: URIs by relation
	Broken      string            // the relation that is taken away in this hook
	Watchers    Watchers
	Server      Server                       // what is told of it in metrics
	Said        map[string]map[string]string // what consumers were told last, by relation; read where the rest does not tell what to say anew
}

func observe(ctx context.Context, env hook.Env) (Observed, error) { return see(ctx, env, false) }

// see is what a hook sees; all: also what this unit's hooks have no need of, because it is not the leader or stands by.
func see(ctx context.Context, env hook.Env, all bool) (o Observed, err error) {
	if o.Unit, err = hook.ReadUnit(); err != nil {
		return o, err
	}
	o.Gateway = true
	var wrong *hook.OptionError
	if o.Config, o.ConfigErr = readConfig(); o.ConfigErr != nil && !errors.As(o.ConfigErr, &wrong) {
		return o, o.ConfigErr
	}
	if o.Container, err = hook.SeeContainer(env, container); err != nil {
		return o, err
	}
	if o.Leaving() { // its agent may be gone, and is waited for where it is not
		return o, nil
	}
	if o.Pod, err = vpnk8slib.ReadPod(); err != nil {
		return o, fmt.Errorf("cannot read this pod's network: %w", err)
	}
	if o.Watchers, err = seeWatchers(o.Leader); err != nil {
		return o, err
	}
	if o.Peers, err = hook.Joined(unitsEndpoint); err != nil {
		return o, err
	}
	o.followHolder()
	if all = all || o.Leader; !all && !o.has() {
		return o, nil
	}
	if all {
		if err := o.relate(); err != nil {
			return o, err
		}
	}
	resolvConf, err := hook.ResolvConf() // gluetun rewrites the file, and is started by no earlier hook than this pod's first
	if err != nil {
		return o, err
	}
	look, cancel := context.WithTimeout(ctx, hook.Look)
	defer cancel()
	app := vpnk8slib.App{Name: o.App, Namespace: o.Model, Unit: o.Name}
	o.View, o.ViewErr = vpnk8slib.ObserveGateway(look, env.Reader, app, vpnk8slib.Overrides{
		ClusterCIDRs: o.Config.ClusterCIDRs, Services: hook.KnownServices(), Controllers: o.Controllers, Pod: o.Pod.Address, ResolvConf: resolvConf,
	})
	hook.KeepServices(o.View.Network)
	var planned map[string]string
	if o.Container.Up {
		if planned, err = hook.PlannedEnvironment(env, container, service); err != nil {
			return o, err
		}
	}
	if o.Container.Running {
		o.LetOut = planned[outbound]
	}
	if err := o.settle(planned); err != nil {
		return o, err
	}
	if o.ConfigErr == nil && o.Container.Up {
		if err := o.fitServers(ctx, env, planned); err != nil {
			return o, err
		}
	}
	o.NoWireGuard = byKernel(o.Config) && !kernelHas("wireguard")
	o.Server.Listed = listedAt(env, o)
	if o.ViewErr == nil {
		o.choose(app)
	}
	if unsettled(o) == nil && all && o.Config.RoutingMethod == vpnk8slib.Overlay {
		leases, cancel := context.WithTimeout(ctx, hook.Look) // of its own: gluetun's program may have taken long meanwhile
		defer cancel()
		if o.ViewErr, err = o.lease(leases, env, app); err != nil {
			return o, err
		}
	}
	var answer apierrors.APIStatus
	if _, open := hook.First(hook.Trusted(o.Unit, o.ViewErr)); open && errors.As(o.ViewErr, &answer) {
		return o, fmt.Errorf("cannot look at the cluster: %w", o.ViewErr) // the API server's trouble: Juju tries this hook again
	}
	if o.Container.Running && !o.elsewhere() { // the check is no reason not to look: it learns of a recovery seconds after Pebble's notice of it
		o.Tunnel = seeTunnel(ctx, o.Config.ProbeTargets, apiKey(o.Secret))
		o.Tunnel.Handshake = handshake(o.Pod.Agent, time.Now())
		o.Server.Country = country(o)
	}
	if !o.Tunnel.Up && !o.elsewhere() { // nor is gluetun's being started again
		o.Tunnel.Refused = refusedLogin(env, o)
	}
	if err := o.speak(time.Now()); err != nil {
		return o, err
	}
	if o.Leader && (unsettled(o) != nil || o.silent() || held(plans(o, published(o), new(hook.Desired)))) {
		o.Said, err = hook.Published(hook.VPNEndpoint, o.App)
	}
	return o, err
}

// settle reads what the options and the secret mean together, for the gluetun that this pod has, and how that was started.
func (o *Observed) settle(planned map[string]string) error {
	o.Config = o.Config.in(o.View.Images[container])
	if err := o.want(planned); err != nil {
		return err
	}
	if o.ConfigErr == nil {
		o.ConfigErr = complete(o.Config, o.App)
	}
	if o.Secret, o.SecretErr = secret(o.Config, o.App); o.SecretErr != nil && !errors.Is(o.SecretErr, errOperator) {
		return o.SecretErr
	}
	o.Config = o.Config.with(o.Secret)
	return nil
}

// lease reads what consumers have of the overlay: from the cluster, and from Juju.
func (o *Observed) lease(ctx context.Context, env hook.Env, app vpnk8slib.App) (view, err error) {
	o.Leases, view = vpnk8slib.ObserveLeases(ctx, env.Reader, app, o.Config.Overlay, o.Consumers, o.teller())
	if view != nil {
		return view, nil
	}
	if !o.Leader { // whose they are to lay
		return nil, nil
	}
	o.Secrets = map[string]string{}
	for _, c := range o.Consumers {
		if o.Secrets[c.Relation], err = hook.OwnSecret(vpnk8slib.KeyLabel(c.Relation)); err != nil {
			return nil, err
		}
	}
	o.Standby, view = vpnk8slib.ObserveStandby(ctx, env.Reader, app, o.Others)
	p := o.place()
	o.Standby.Runs, o.Standby.Heard = o.Container.Running, p != nil && p.Known && p.Holder != ""
	return view, nil
}

// Reconcile decides what should be so. It reads nothing and changes nothing.
func Reconcile(o Observed) hook.Desired {
	var d hook.Desired
	if o.Leaving() { // the cluster was not looked at, and Apply stops what runs and does nothing else
		d.Workloads = []hook.Workload{{Container: container, Mode: hook.Stopped}}
		return d
	}
	data := published(o)
	unfit := suits(o)
	planned := plans(o, data, &d)
	d.Soon = hook.Trying(planned, container)
	untold := append(tell(o, data, unsettled(o) != nil || held(planned) || o.silent(), &d), watched(o, &d)...)
	if d.Soon = cmp.Or(d.Soon, hook.Unanswered(o.ViewErr, container)); errors.As(o.SecretErr, new(notGranted)) {
		d.Soon = hook.Soon{Container: container, For: "grant"} // it may be long, as may an answer: nobody is told the later for it
	}
	o.say(&d)
	laid, image := hook.Laid(planned)
	gates := []hook.Gate{
		o.stands(!o.Leader), hook.Trusted(o.Unit, o.ViewErr), hook.Reachable(o.Unit, o.ViewErr),
		hook.Valid(o.ConfigErr), hook.Valid(o.SecretErr), hook.Valid(withSecret(o.Config, o.Secret, o.App)), hook.Valid(o.ViewErr), hook.Valid(unfit),
		laid,
	}
	_, free := hook.First(gates...)
	why, open := hook.First(append(gates, o.stands(o.Leader), patched(o), hook.Up(container, o.Container.Up))...)
	w := hook.Workload{Container: container}
	switch {
	case open:
		w = workload(o.Config, o.Secret, o.View.Network)
		w.Layer.Services[service].Environment[outbound] = letOut(o.Config, o.View.Network, o.LetOut).String()
		w.Mode = hook.Running
		maps.Copy(w.Layer.Checks, o.standbyChecks())
		w.Layer.LogTargets = logTargets(o)
		d.Status = status(o).With(o.tookOver()).With(append(notes(o), untold...)...)
	case o.mayGoOn() && o.Pod.Overlay:
		// A tunnel that stands goes on, under the firewall that was laid for it.
		w.Mode = hook.AsIs
		d.Status = why.With(notes(o)...)
	default:
		w.Mode = hook.Stopped
		w.Layer.Checks = map[string]hook.Check{hook.OverlayCheck: overlayCheck}
		maps.Copy(w.Layer.Checks, o.standbyChecks())
		d.Status = why
	}
	if free && image.Kind != "" { // what follows has to wait for it
		d.Status = image.With(append(notes(o), untold...)...)
	}
	if len(o.Standby.Units) > 0 && !o.Standby.Token && len(d.Protect) > 0 && !held(planned) { // it comes in a moment, and nothing tells of it
		d.Soon = hook.Soon{Container: container, For: "token"}
	}
	d.Workloads = []hook.Workload{w}
	return d
}

// plans adds the cluster's part. Without a configuration that is complete and fits there is none, and what was laid stays:
// the firewall names the server's port, and an overlay in the cluster's own network would take its addresses away.
func plans(o Observed, data vpnk8slib.ProviderData, d *hook.Desired) (err error) {
	if unsettled(o) != nil || !o.Leader || o.Leaving() {
		return nil
	}
	d.Protect, err = vpnk8slib.GatewayPlans(gateway(o, data))
	return err
}

// gateway is what the library makes the gateway's end from.
func gateway(o Observed, data vpnk8slib.ProviderData) vpnk8slib.Gateway {
	return vpnk8slib.Gateway{
		App: vpnk8slib.App{Name: o.App, Namespace: o.Model, OwnerUID: o.View.Owner, Unit: o.Name}, Data: data, Network: o.View.Network,
		Workload: container, TUN: o.Config.TUN, Drops: o.Config.Type == "openvpn", Trials: o.View.Trials, Image: o.Config.PodGatewayImage, Endpoint: endpoint(o.Config),
		AgentImage: o.Config.AgentImage, Leases: o.Leases, Standby: o.Standby, Pod: o.holderAddress(), MTU: mtu(o.Config), Probes: o.Config.ProbeTargets, Resolvers: o.Config.Resolvers,
		Ports: o.Config.portServer().at, RouterPorts: o.Config.portServer().router, Told: o.Config.portsTold(), Exit: o.Tunnel.Seen, Country: o.Server.Country, Listed: o.Server.Listed,
		Refused: o.Tunnel.Refused,
	}
}

// published is what consumers are to be told. It names the pod that has the tunnel: two addresses behind one name break pod-gateway. Where
// the networks do not go together, or an option is refused that they are told by, they are left out: the data then cannot be
// written.
func published(o Observed) vpnk8slib.ProviderData {
	data := vpnk8slib.ProviderData{
		RoutingMethod:  o.Config.RoutingMethod,
		GatewayDNSName: inCluster(o, o.holder()),
		VXLANID:        o.Config.VXLANID, VXLANPort: o.Config.VXLANPort, VPNConnected: o.Tunnel.Up,
		InstanceName: o.App, Namespace: o.Model, Application: o.App, DNSResolvers: o.Config.Resolvers,
	}
	if !refused(o, "cluster-cidrs") && !refused(o, "vxlan-id") && !refused(o, "vxlan-ip-network") && apart(o.Config, o.View.Network, o.View.Others, o.App) == nil {
		data.VXLANIPNetwork, data.ClusterCIDRs = o.Config.Overlay, o.View.Network.Cluster()
	}
	if o.Tunnel.Up {
		data.ExternalIP = o.Tunnel.Seen
	}
	for _, dns := range o.View.Network.DNS {
		if !data.ClusterDNSIP.IsValid() {
			data.ClusterDNSIP = dns
		}
	}
	return data
}

// suits says why this cluster does not suit the configuration, if so.
func suits(o Observed) error {
	if tun := o.Config.TUN; !refused(o, "tun-device") && !tun.At(o.View.Network, o.View.Devices) {
		return fmt.Errorf("tun-device=%s, for vpn-provider=%s, is on no node of this cluster: juju config %s tun-device=<resource of your cluster's device plugin, such as squat.ai/tun>, or tun-device=privileged; see: kubectl get nodes -o jsonpath='{.items[*].status.allocatable}'", tun, o.Config.Provider, o.App)
	}
	if o.Config.RoutingMethod == vpnk8slib.Overlay && o.Pod.Address.Is6() {
		return fmt.Errorf("routing-method=overlay, for vpn-provider=%s, is carried over IPv4, and this pod has %s: juju config %s routing-method=pod-gateway", o.Config.Provider, o.Pod.Address, o.App)
	}
	if o.NoWireGuard {
		return giveDevice(o.Config, " on this node, whose kernel has no WireGuard of its own", o.App)
	}
	return fits(o.Config, o.View.Network, o.View.Others, o.App)
}

// unsettled is why nothing new can be laid now, if so: the pod stays as it is, and so does what consumers are told of it.
func unsettled(o Observed) error {
	lacking := withSecret(o.Config, o.Secret, o.App)
	if o.SecretErr != nil { // what it holds is not known; without the server nothing can be laid
		lacking = nil
		if len(endpoint(o.Config).Ports) == 0 {
			lacking = o.SecretErr
		}
	}
	return cmp.Or(o.ViewErr, o.ConfigErr, lacking, suits(o))
}

func refused(o Observed, option string) bool {
	return slices.ContainsFunc(hook.Refusals(o.ConfigErr), func(e *hook.OptionError) bool { return e.Name == option })
}

// patched is open in a pod whose overlay is there: it is made after the drop rules, and gluetun looks at the pod's
// interfaces once, at its start. With our own agent, its guard answers for itself.
func patched(o Observed) hook.Gate {
	guarded := o.Config.RoutingMethod != vpnk8slib.Overlay || o.Pod.Guarded()
	switch agent := o.Pod.Agent; {
	case agent == nil && o.Pod.Overlay && o.Config.RoutingMethod == vpnk8slib.Overlay:
		return hook.Gate{Closed: true, Why: hook.Waiting("no agent answers in this pod")}
	case agent != nil && !guarded:
		return hook.Gate{Closed: true, Why: hook.Waiting("the guard of this pod does not stand: " + agent.Guard.Error)}
	case agent != nil && !o.Pod.Overlay && agent.Gateway != nil && agent.Gateway.Error != "":
		return hook.Gate{Closed: true, Why: hook.Waiting("the overlay of this pod does not stand: " + agent.Gateway.Error)}
	}
	return hook.Gate{Closed: !o.Pod.Overlay || !guarded, Why: hook.Maintenance("restarting this pod with the gateway's end of the overlay")}
}

func status(o Observed) hook.Status {
	up, known := o.Container.Checks[tunnelCheck]
	switch {
	case o.Tunnel.Refused:
		return hook.Blocked(otherAccount(o))
	case !o.Container.Running:
		return hook.Maintenance("starting gluetun")
	case o.Tunnel.Up && o.Tunnel.Seen.IsValid():
		return hook.Active(fmt.Sprintf("connected, seen as %s", o.Tunnel.Seen))
	case o.Tunnel.Up:
		return hook.Active("connected")
	case known && !up:
		return hook.Waiting("the VPN tunnel is down" + o.Tunnel.says() + "; see: " + itsLog(o))
	default:
		return hook.Waiting("waiting for the VPN tunnel")
	}
}

// itsLog is the command that shows what gluetun says.
func itsLog(o Observed) string {
	return fmt.Sprintf("kubectl -n %s logs %s -c %s", o.Model, o.podName(), container)
}

// notes are what the operator should know of this gateway beside its tunnel, and of the consumers.
func notes(o Observed) []string {
	notes := append(slices.Clone(o.Shared), versionNote(o))
	if agent := o.Pod.Agent; o.Tunnel.Up && agent != nil && agent.Gateway != nil && agent.Gateway.Error != "" {
		notes = append(notes, "clients are not led as they should be: "+agent.Gateway.Error)
	}
	if doubt := o.Config.protocol().doubt; doubt != "" && !o.Tunnel.Up {
		notes = append(notes, fmt.Sprintf("of %s gluetun warns: %s", o.Config.Provider, doubt))
	}
	if lacks := o.Pod.Lacks(); lacks != "" {
		notes = append(notes, lacks)
	}
	for _, c := range o.Consumers {
		var invalid *vpnk8slib.InvalidError
		switch {
		case errors.As(c.Err, &invalid):
			notes = append(notes, invalid.Error())
		case c.Err == nil && o.Config.RoutingMethod == vpnk8slib.Overlay && !slices.Contains(c.Data.RoutingMethods, vpnk8slib.Overlay):
			notes = append(notes, fmt.Sprintf("%s cannot be routed by overlay: refresh it (juju refresh <it> --path=<a newer charm>), or juju config %s routing-method=pod-gateway", c.Data.InstanceName, o.App))
		case c.Err == nil && c.Data.WantPort && portNote(o, c) != "":
			notes = append(notes, portNote(o, c))
		case c.Err == nil && len(c.Data.RoutingMethods) == 0 && o.Config.VXLANPort != vpnk8slib.KernelVXLANPort:
			notes = append(notes, fmt.Sprintf("%s reads no VXLAN port: juju config %s vxlan-port=%d", c.Data.InstanceName, o.App, vpnk8slib.KernelVXLANPort))
		}
	}
	return notes
}
