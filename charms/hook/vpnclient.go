package hook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// VPNEndpoint is the endpoint that every consumer of a VPN has.
const VPNEndpoint = "vpn-gateway"

// VPNOptions are the options that every consumer of a VPN has: a charm embeds them in its Config.
type VPNOptions struct {
	UnsafeMode      bool            `json:"unsafe-mode"`
	ClusterCIDRs    vpnk8slib.CIDRs `json:"cluster-cidrs" example:"<pod and service networks of the cluster, such as 10.1.0.0/16,10.152.183.0/24>"` // empty: discovered
	PodGatewayImage string          `json:"pod-gateway-image" validate:"required,image" example:"ghcr.io/angelnu/pod-gateway:v1.13.0"`
	AgentImage      string          `json:"vpn-agent-image" validate:"required,image" example:"ghcr.io/charmarr/vpn-agent:v0.1.0"`
}

// VPN is the consumer's half of the vpn-gateway relation as seen in one hook. It is the same for every consumer charm.
type VPN struct {
	Options    VPNOptions
	OptionsErr error // what the operator has to mend in the charm's options; set by the charm
	Ports      []int // TCP, on which the workload is asked inside the cluster; set by the charm
	WantPort   bool  // a port of the provider's is to lead to the workload; set by the charm
	App        vpnk8slib.App
	Link       vpnk8slib.Link
	Breaking   bool // this is the hook that breaks one of the relations, or the first, install, in which Juju lists none yet
	View       vpnk8slib.ClientView
	ViewErr    error         // why the view could not be had: no trust, no answer, or a network that has to be told (cluster-cidrs)
	Pod        vpnk8slib.Pod // this pod's own network
	Unheard    bool          // GatewayCheck fails
	Key        string        // of the gateway's overlay; empty where there is none, or it may not be read yet
}

// SeeVPN reads the relation, the cluster and this pod's network. The cluster is asked by the leader only, once, within
// two seconds; a refusal or no answer becomes part of what was seen.
func SeeVPN(ctx context.Context, env Env, u Unit, o VPNOptions) (VPN, error) {
	v := VPN{Options: o, App: vpnk8slib.App{Name: u.App, Namespace: u.Model, Unit: u.Name}, Breaking: u.Event == broken(VPNEndpoint) || u.Event == "install"}
	rels, err := Relations(VPNEndpoint)
	if err != nil {
		return VPN{}, err
	}
	v.Link = vpnk8slib.ReadLink(u.App, rels)
	if u.Leaving() { // its agent may be gone, and is waited for where it is not
		return v, nil
	}
	if v.Pod, err = vpnk8slib.ReadPod(); err != nil {
		return VPN{}, fmt.Errorf("cannot read this pod's network: %w", err)
	}
	if !u.Leader {
		return v, nil
	}
	ctx, cancel := context.WithTimeout(ctx, Look)
	defer cancel()
	v.View, err = vpnk8slib.ObserveClient(ctx, env.Reader, v.App, vpnk8slib.Overrides{ClusterCIDRs: o.ClusterCIDRs, Services: KnownServices(), Controllers: u.Controllers, Pod: v.Pod.Address})
	KeepServices(v.View.Network)
	var answer apierrors.APIStatus
	if errors.As(err, &answer) && forbidden(err) == nil {
		return VPN{}, &blindError{err, !v.Pod.Holds() && v.State() != vpnk8slib.Unprotected} // the API server's trouble: Juju tries this hook again
	}
	v.ViewErr = err
	v.App.OwnerUID = v.View.Owner
	v.Key = key(v.Link)
	return v, nil
}

// blindError is what the API server answers instead of what was asked. Juju tries the hook again, at longer and longer intervals; a pod that is
// open meanwhile, in which nothing may run any more, is not left as it was.
type blindError struct {
	err  error
	open bool
}

func (e *blindError) Error() string { return fmt.Sprintf("cannot look at the cluster: %v", e.err) }
func (e *blindError) Unwrap() error { return e.err }

// shut stops what runs in a container where a hook ends so. It asks for nothing but Pebble.
func shut(env Env, container string, err error) error {
	var blind *blindError
	if !errors.As(err, &blind) || !blind.open {
		return nil
	}
	return applyWorkload(env, Workload{Container: container, Mode: Stopped})
}

// key reads the key of the gateway's overlay, which the gateway grants. One that cannot be read now, because it is not granted yet or
// the gateway's controller is away, is none: what this pod has of it stays.
func key(l vpnk8slib.Link) string {
	if l.Err != nil || l.Gateway.Overlay == nil {
		return ""
	}
	content, err := Secret(l.Gateway.Overlay.Key)
	if err != nil {
		logError(err)
	}
	return content[vpnk8slib.KeyField]
}

// client is what the library decides from. Workloads are the containers that must not reach anything before the route is there.
func (v VPN) client(workloads ...string) vpnk8slib.Client {
	return vpnk8slib.Client{
		App: v.App, Link: v.Link, Unsafe: v.Options.UnsafeMode, Breaking: v.Breaking, Last: v.View.Last, Network: v.View.Network, Probe: v.View.Probe,
		Workloads: workloads, Ports: v.Ports, Key: v.Key, Trials: v.View.Trials, Image: v.Options.PodGatewayImage, AgentImage: v.Options.AgentImage,
	}
}

// State is the consumer's state; see the README.
func (v VPN) State() vpnk8slib.State { return v.client().State() }

// Desired is the VPN's half of what a consumer wants: plans, our data, whether the workload may run, and the status if it
// may not. The charm's own gates come after its options and before the VPN's own; a charm adds ports and the like to what is
// returned.
//
// With a gate closed, a workload that runs goes on only in a pod that has no way out but the overlay (or in a unit whose
// operator asked for no protection); else it is stopped.
func (v VPN) Desired(u Unit, w Workload, up bool, gates ...Gate) Desired {
	var d Desired
	c := v.client(w.Container)
	planned := v.plans(u, c, &d)
	data, err := vpnk8slib.RequirerData{InstanceName: u.App, RoutingMethods: vpnk8slib.RoutingMethods(), WantPort: v.WantPort, Namespace: u.Model, Application: u.App}.Encode()
	d.Publish = map[string]map[string]string{VPNEndpoint: data}
	if u.Leader && v.undecided(c) {
		d.Again = w.Container
	}

	d.Soon = cmp.Or(Trying(planned, w.Container), Unanswered(v.ViewErr, w.Container))

	laid, image := Laid(planned)
	gates = append([]Gate{Leads(u), Valid(v.OptionsErr)}, gates...)
	gates = append(gates, Valid(err), Trusted(u, v.ViewErr), Reachable(u, v.ViewErr), Valid(v.ViewErr), laid)
	_, free := First(gates...)
	why, open := First(append(gates, v.gate(c), Up(w.Container, up))...)
	switch {
	case open:
		w.Mode = Running
		d.Status = v.running(c).With(v.notes(c)...)
	case u.Leader && (c.MayKeep(v.Pod) || v.mayKeepUnseen()):
		w.Mode = AsIs
		d.Status = why.With(v.notes(c)...)
	default:
		w.Mode = Stopped
		d.Status = why.With(v.notes(c)...)
	}
	if free && image.Kind != "" { // what follows has to wait for it
		d.Status = image.With(v.notes(c)...)
	}
	w.Layer.Checks = v.checks(c, w)
	d.Workloads = []Workload{w}
	return d
}

// mayKeepUnseen stands in for the library's MayKeep while the cluster does not say whether this application was routed
// before. This pod was closed by a route of ours, and is closed: what runs in it goes on, as long as there is a relation.
func (v VPN) mayKeepUnseen() bool {
	return v.ViewErr != nil && v.related() && v.Pod.Holds()
}

func (v VPN) related() bool { return !errors.Is(v.Link.Err, vpnk8slib.ErrNotRelated) }

// undecided says whether what follows a broken relation is for the next hook; see vpnk8slib.Client.State.
func (v VPN) undecided(c vpnk8slib.Client) bool { return v.Breaking && c.State() != vpnk8slib.Locked }

// checks leaves out what could only fail: the overlay's where there is to be none, the workload's own while it is stopped.
func (v VPN) checks(c vpnk8slib.Client, w Workload) map[string]Check {
	routed := c.State() == vpnk8slib.Routed || c.State() == vpnk8slib.Held
	checks := map[string]Check{}
	maps.Copy(checks, w.Layer.Checks)
	if url := c.HeardURL(); url != "" && routed {
		checks[GatewayCheck] = gatewayCheck(url)
	}
	maps.DeleteFunc(checks, func(name string, _ Check) bool {
		if name == OverlayCheck {
			return !routed
		}
		return w.Mode == Stopped
	})
	return checks
}

// plans adds the cluster's part. Without a view there is none: a policy made from half of what must stay reachable would
// lock this unit's agent out. What was laid before stays. Steps that come with an error are taken as well: what could be
// laid is laid.
//
// With an option refused, nobody knows which image, or which networks, were meant: no route is laid or changed, as if the
// gateway had said nothing, and nothing is taken away. The kill switch depends on no option.
func (v VPN) plans(u Unit, c vpnk8slib.Client, d *Desired) (err error) {
	if v.ViewErr != nil || !u.Leader || u.Leaving() {
		return nil
	}
	if v.OptionsErr != nil {
		if c.State() == vpnk8slib.Unprotected {
			return nil
		}
		c.Link = vpnk8slib.Link{Err: vpnk8slib.ErrNotReady}
	}
	d.Protect, d.Release, err = vpnk8slib.ClientPlans(c)
	return err
}

// gate is open when this pod's traffic leaves through the tunnel, or when the operator gave that up.
func (v VPN) gate(c vpnk8slib.Client) Gate {
	return Gate{!c.MayStart(v.Pod), v.closed(c)}
}

// closed says why the workload may not start, and who has to do what.
func (v VPN) closed(c vpnk8slib.Client) Status {
	var invalid *vpnk8slib.InvalidError
	gateway := v.gatewayName(c)
	switch {
	case c.State() == vpnk8slib.Locked:
		return Blocked(fmt.Sprintf("relate to a vpn-gateway: juju integrate %[1]s <gateway>:%[2]s (or run without VPN: juju config %[1]s unsafe-mode=true)", v.App.Name, VPNEndpoint))
	case v.undecided(c):
		return Maintenance("seeing which gateways are related")
	case errors.As(v.Link.Err, &invalid):
		return Blocked(invalid.Error()).With(fmt.Sprintf("see what it says: juju show-unit %s --endpoint %s", v.App.Unit, VPNEndpoint))
	case errors.Is(v.Link.Err, vpnk8slib.ErrNotReady) && c.State() == vpnk8slib.Held:
		return Waiting(fmt.Sprintf("gateway %s is silent: nothing leaves until it is back", gateway)).With(v.look(c))
	case errors.Is(v.Link.Err, vpnk8slib.ErrNotReady):
		return Waiting(fmt.Sprintf("waiting for the gateway of %s to publish its data; see: juju status --relations %s", v.Link.Relation, v.App.Name))
	case v.Link.Err != nil:
		return Blocked(v.Link.Err.Error())
	case c.State() == vpnk8slib.Protected:
		return Waiting(fmt.Sprintf("waiting for gateway %s: its VPN tunnel has not been up yet", gateway)).With(v.look(c))
	case v.Pod.Agent != nil && !v.Pod.Guarded():
		return Waiting(fmt.Sprintf("the guard of this pod does not stand: %s", v.Pod.Agent.Guard.Error))
	case !v.Pod.Guarded() && !v.Pod.Patched && !v.Pod.Overlay:
		return Maintenance("restarting this pod with the route to gateway " + gateway)
	case !v.Pod.Guarded() && !v.Pod.Patched: // the overlay is there: the agent was, and what it laid stands without it
		return v.unanswered()
	case !v.Pod.Holds():
		return Blocked(fmt.Sprintf("this pod still has a way out beside the tunnel; delete it: kubectl -n %s delete pod -l app.kubernetes.io/name=%s", v.App.Namespace, v.App.Name))
	case !v.Pod.Guarded():
		return v.unanswered()
	case v.Pod.Agent != nil && v.Pod.Agent.Client != nil && v.Pod.Agent.Client.Error != "":
		return v.wayless(c)
	default:
		return Waiting(fmt.Sprintf("waiting for gateway %s: the overlay is not there, nothing leaves", gateway)).With(v.look(c))
	}
}

// wayless is where the agent cannot lay what leads to the gateway.
func (v VPN) wayless(c vpnk8slib.Client) Status {
	return Waiting(fmt.Sprintf("the way to gateway %s is not as it should be, nothing leaves: %s", v.gatewayName(c), v.Pod.Agent.Client.Error))
}

func (v VPN) unanswered() Status {
	return Waiting(fmt.Sprintf("waiting for the guard of this pod to answer; see: kubectl -n %s logs %s -c vpn-agent", v.App.Namespace, v.App.Pod()))
}

// Port is the port of the provider's on which peers come to the workload, which is to listen on it; 0: there has been none. It is the
// last one while there is none: a workload that listens there has nothing to do until there is another.
func (v VPN) Port() int {
	if !v.WantPort {
		return 0
	}
	return v.client().Port()
}

// running is the status of a workload that may run.
func (v VPN) running(c vpnk8slib.Client) Status {
	gateway := v.gatewayName(c)
	switch {
	case v.undecided(c):
		return v.closed(c)
	case c.State() == vpnk8slib.Held && errors.Is(v.Link.Err, vpnk8slib.ErrNotReady):
		return Waiting(fmt.Sprintf("gateway %s is silent: this pod goes on by what it said last", gateway)).With(v.look(c))
	case c.State() == vpnk8slib.Held: // this pod is routed, but the gateway says nothing that we understand
		return v.closed(c)
	case c.State() == vpnk8slib.Unprotected:
		return Active("unsafe-mode=true: traffic leaves without VPN")
	case v.unheard() && v.Pod.Agent.Client.Lost:
		return Waiting(fmt.Sprintf("gateway %s is not heard: nothing leaves until it is back", gateway)).With(v.look(c))
	case !v.Link.Gateway.VPNConnected:
		return v.down(c)
	case v.unheard() && v.Pod.Agent.Client.Error != "":
		return v.wayless(c)
	case v.unheard():
		return v.down(c)
	}
	told := "through gateway " + gateway
	if seen := v.Link.Gateway.ExternalIP; seen.IsValid() {
		told += fmt.Sprintf(", seen as %s", seen)
	}
	if port := v.Link.Gateway.Port; v.WantPort && port != nil {
		told += fmt.Sprintf(", port %d", port.Number)
	}
	return Active(told)
}

func (v VPN) down(c vpnk8slib.Client) Status {
	return Waiting(fmt.Sprintf("the VPN tunnel of gateway %s is down: nothing leaves until it is up", v.gatewayName(c))).With(v.look(c))
}

// unheard says whether nothing comes back by the overlay, whatever the gateway has published last. The check brings a hook when that
// turns: what the agent says while it does not fail may be another thing in a moment, and nobody would be told.
func (v VPN) unheard() bool {
	return v.Unheard && v.Pod.Agent != nil && v.Pod.Agent.Client != nil && !v.Pod.Agent.Client.Through()
}

// notes are what the operator should know whatever else holds.
func (v VPN) notes(c vpnk8slib.Client) (notes []string) {
	if c.State() == vpnk8slib.Unprotected {
		return nil
	}
	if v.related() && v.Options.UnsafeMode {
		notes = append(notes, "unsafe-mode=true: removing the relation opens egress")
	}
	if v.Link.Err == nil && v.WantPort && v.Link.Gateway.VPNConnected && v.Link.Gateway.Port == nil {
		notes = append(notes, "no port leads here yet; "+v.look(c))
	}
	if lacks := v.Pod.Lacks(); lacks != "" {
		notes = append(notes, lacks)
	}
	if v.Pod.Agent != nil && v.Pod.Agent.Names != "" {
		notes = append(notes, "this pod finds no names: "+v.Pod.Agent.Names)
	}
	if len(v.View.Wider) > 0 {
		notes = append(notes, "NetworkPolicies that allow more for these pods: "+strings.Join(v.View.Wider, ", "))
	}
	if v.ViewErr != nil || !v.related() {
		return notes
	}
	switch v.View.Enforced {
	case vpnk8slib.NotEnforced:
		notes = append(notes, "this cluster does not enforce NetworkPolicies: only the guard in this pod protects")
	case vpnk8slib.EnforcementUnknown:
		notes = append(notes, "whether this cluster enforces NetworkPolicies is unknown")
	}
	return notes
}

// gateway is what the relation says of the gateway, or last said.
func (v VPN) gateway(c vpnk8slib.Client) vpnk8slib.ProviderData {
	if v.Link.Err != nil && c.Last != nil {
		return c.Last.Gateway
	}
	return v.Link.Gateway
}

// gatewayName is what the gateway calls itself: the relation's other end has another name across models.
func (v VPN) gatewayName(c vpnk8slib.Client) string {
	data := v.gateway(c)
	if v.elsewhere(data) {
		return data.Namespace + "/" + data.Application
	}
	return data.Application
}

// look is where the operator looks while the consumer waits for its gateway, which may never come back.
func (v VPN) look(c vpnk8slib.Client) string {
	data := v.gateway(c)
	if v.elsewhere(data) {
		return fmt.Sprintf("see: juju status -m %s %s", data.Namespace, data.Application)
	}
	return "see: juju status " + data.Application
}

func (v VPN) elsewhere(data vpnk8slib.ProviderData) bool {
	return data.Namespace != "" && data.Namespace != v.App.Namespace
}
