package vpnk8slib

import (
	"context"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Standby is what a gateway of several units has beside, by the method overlay: a Lease by which their agents agree on who has the tunnel,
// and what they show to the API server for it. The application's own token may do everything after `juju trust`, and stays where it is: theirs
// opens that one Lease.
type Standby struct {
	Units []string // of the application, the others; none: it is alone
	Asked bool     // the token was asked for
	Token bool     // it is there: before it is, the agents are told nothing
	Runs  bool     // this pod's VPN client runs
	Heard bool     // by this pod's agent somebody has had the Lease
}

const standbyVolume = "vpn-standby"

// ObserveStandby reads what there is of it already.
func ObserveStandby(ctx context.Context, r Reader, a App, units []string) (s Standby, err error) {
	if s.Units = units; len(units) == 0 {
		return s, nil
	}
	var token seenConfigMap // a Secret is read alike
	err = r.Get(ctx, Ref{"Secret", a.standby(), a.Namespace}, &token)
	if notServed(err) {
		return s, nil
	}
	s.Asked, s.Token = err == nil, token.Data["token"] != ""
	return s, told(err, a.Name)
}

// agreement is what their agents are told; nil while there is one unit, or nothing to agree by.
func (g Gateway) agreement() *overlay.Standby {
	if len(g.Standby.Units) == 0 || !g.Standby.Token {
		return nil
	}
	return &overlay.Standby{Namespace: g.App.Namespace, Lease: g.App.standby(), Free: g.free()}
}

// begins is the pod that takes a Lease which nobody has ever had, because it has the tunnel: this one, or the one that led before, until
// somebody has had it.
func (g Gateway) begins() string {
	if before := g.Leases.Before; g.agreement() != nil && !g.Standby.Heard && before != nil && before.Pod != "" {
		return before.Pod
	}
	return g.App.Pod()
}

// free says whether no pod can have the tunnel that has not heard of the Lease. Such a one was told that it is alone, and this one has it, or
// the one that led before. What the agents were told once stays, until somebody has had it.
func (g Gateway) free() bool {
	switch before := g.Leases.Before; {
	case before == nil || g.Standby.Heard:
		return true
	case before.Standby != nil:
		return before.Standby.Free
	default:
		return before.Pod == g.App.Pod() && !g.Standby.Runs
	}
}

// withToken mounts the token where the agent is, if it is there: whether units come or go, no pod is rolled.
func (f fragment) withToken(a App) fragment {
	f.volumes = append(f.volumes, volume{Name: standbyVolume, Secret: &secretName{a.standby(), ptr(true)}})
	for _, all := range [][]container{f.init, f.containers} {
		for i := range all {
			if all[i].Name == residentName {
				all[i].VolumeMounts = append(all[i].VolumeMounts, volumeMount{standbyVolume, overlay.StandbyDir, true})
			}
		}
	}
	return f
}

// withStandby adds it to a gateway's plan: before the agents are told of it, and the kubelet of every unit's pod is woken as that of this
// one is.
func (g Gateway) withStandby(p Plan, f fragment) Plan {
	if len(g.Standby.Units) == 0 || g.Data.RoutingMethod != Overlay {
		return p
	}
	name := g.App.standby()
	account, lease := g.App.own("v1", "ServiceAccount", name), g.App.own("coordination.k8s.io/v1", "Lease", name)
	may := g.App.own("rbac.authorization.k8s.io/v1", "Role", name)
	may.Rules = []rule{{[]string{"coordination.k8s.io"}, []string{"leases"}, []string{name}, []string{"get", "patch"}}}
	binding := g.App.own("rbac.authorization.k8s.io/v1", "RoleBinding", name)
	binding.Role = &role{"rbac.authorization.k8s.io", "Role", name}
	binding.Subjects = []subject{{"ServiceAccount", name, g.App.Namespace}}
	token := g.App.own("v1", "Secret", name)
	token.Type = "kubernetes.io/service-account-token"
	token.Metadata.Annotations = map[string]string{"kubernetes.io/service-account.name": name}
	var before, after Plan
	if told := g.Leases.Before; told != nil && told.Standby == nil && g.agreement() != nil {
		// The agents hear of it only now. What stands in it is of an earlier time of several units, and who comes would take it over from
		// one of them, while the one that was alone since has the tunnel, and has not heard.
		before = append(before, Step{Delete: Ref{"Lease", name, g.App.Namespace}})
	}
	for _, o := range []*Object{account, may, binding, token, lease} {
		before = append(before, Step{Manager: managerStandby, Apply: o})
	}
	for _, unit := range g.Standby.Units {
		other := g.App
		other.Unit = unit
		after = append(after, Step{Manager: managerPod, Apply: f.wake(other)})
	}
	return append(append(before, p...), after...)
}
