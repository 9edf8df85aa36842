package vpnk8slib

import (
	"cmp"
	"context"
)

// Cluster is all that Reconcile needs of Kubernetes.
type Cluster interface {
	// Apply makes obj's fields true in the manager's name, by server-side apply. It writes nothing where they are true already.
	Apply(ctx context.Context, manager string, obj *Object) error
	// Delete removes the named object. An absent one is no error.
	Delete(ctx context.Context, ref Ref) error
	// Admits says whether a pod's template is there already, as Apply would make it, and otherwise whether a pod would follow it: if not,
	// the error is an *AdmissionError. It writes nothing.
	Admits(ctx context.Context, manager string, obj *Object) (there bool, err error)
}

// Ref names one object.
type Ref struct{ Kind, Name, Namespace string }

func (r Ref) String() string { return r.Kind + " " + r.Name }

// Step applies one object, or deletes one.
type Step struct {
	Manager string
	Apply   *Object
	Delete  Ref         // where Apply is nil
	trial   *TrialError // of the image that Apply tries
}

// Plan is carried out in order: a later step may rely on an earlier one.
type Plan []Step

// Parted parts p into what changes a pod's template, which ends this very pod, and what comes before, each in its order.
func (p Plan) Parted() (before, template Plan) {
	for _, s := range p {
		if s.Apply != nil && s.Apply.Kind == "StatefulSet" {
			template = append(template, s)
		} else {
			before = append(before, s)
		}
	}
	return before, template
}

// Policies are those of a plan's steps that lay a policy for the network.
func (p Plan) Policies() (policies Plan) {
	for _, s := range p {
		if s.Apply != nil && (s.Apply.Kind == "NetworkPolicy" || s.Apply.Kind == "CiliumNetworkPolicy") {
			policies = append(policies, s)
		}
	}
	return policies
}

// Field managers. One for the StatefulSet's template, with everything of ours in one apply: managers that come and go
// reorder the lists. One each for the other objects.
const (
	managerTemplate   = "vpnk8slib"
	managerConfig     = "vpnk8slib-config"
	managerState      = "vpnk8slib-state"
	managerKillSwitch = "vpnk8slib-killswitch"
	managerKeys       = "vpnk8slib-keys"
	managerPod        = "vpnk8slib-pod"
	managerTrial      = "vpnk8slib-trial"
	managerStandby    = "vpnk8slib-standby"
)

// Reconcile carries out p and stops at the first step that fails. A pod that tries an image is not one: where the API server refuses it, all
// else is carried out, and the error is that image's *TrialError. Nothing remembers it; the next hook has the pod made again.
func Reconcile(ctx context.Context, c Cluster, p Plan) error {
	var untried error
	for _, s := range p {
		var err error
		if s.Apply != nil {
			err = c.Apply(ctx, s.Manager, s.Apply)
		} else {
			err = c.Delete(ctx, s.Delete)
		}
		switch {
		case err == nil:
		case s.trial != nil && Refused(err):
			untried = cmp.Or(untried, s.trial.refused(s.Apply, err))
		default:
			return err
		}
	}
	return untried
}
