package vpnk8slib

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// noPods is a cluster that answers all that makes a pod with an error.
type noPods struct {
	Cluster
	err  error
	done Plan
}

func (c *noPods) Apply(_ context.Context, _ string, obj *Object) error {
	c.done = append(c.done, Step{Apply: obj})
	if obj.Kind == "Pod" {
		return refused("apply", obj.Ref().String(), "app", c.err)
	}
	return nil
}

// A trial that is refused keeps nothing else from being laid, and is told as the image's. Without a right, or an answer, it is an error like
// any other.
func TestReconcileWithoutATrial(t *testing.T) {
	f := fragment{settings: map[string]string{"a": "b"}, init: []container{agent("vpn-guard", "agent:2", "guard")}}
	plan, err := f.plan(App{Name: "app", Namespace: "m"}, "c", nil, Trials{})
	require.Error(t, err)
	plan = append(plan, Step{Apply: &Object{Kind: "ConfigMap", Metadata: Metadata{Name: "state"}}})
	pods := schema.GroupResource{Resource: "pods"}
	for _, test := range []struct {
		summary string
		err     error
		goesOn  bool
	}{
		{"a quota", apierrors.NewForbidden(pods, "x", errors.New("exceeded quota: all")), true},
		{"a webhook", apierrors.NewBadRequest(`admission webhook "w" denied the request: no such registry`), true},
		{"no right", apierrors.NewForbidden(pods, "x", errors.New(`User "a" cannot create resource "pods"`)), false},
		{"its trouble", apierrors.NewInternalError(errors.New("failed calling webhook")), false},
		{"no answer", errors.New("connection refused"), false},
	} {
		t.Run(test.summary, func(t *testing.T) {
			c := noPods{err: test.err}
			err := Reconcile(t.Context(), &c, plan)
			var trial *TrialError
			assert.Equal(t, test.goesOn, errors.As(err, &trial), err)
			if !test.goesOn {
				assert.ErrorIs(t, err, test.err)
				assert.Equal(t, "Pod", c.done[len(c.done)-1].Apply.Kind, "nothing comes after it")
				return
			}
			assert.Equal(t, steps(plan), steps(c.done))
			assert.ErrorContains(t, err, "cannot try the image agent:2: allow its pod, or: juju config app vpn-agent-image=<image>; cannot apply Pod app-vpn-trial-")
			assert.ErrorContains(t, err, test.err.Error())
		})
	}
}
