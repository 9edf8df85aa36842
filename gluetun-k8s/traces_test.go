package main

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/charmarr/charmarr-go/charms/hook"
	"github.com/charmarr/charmarr-go/charms/hook/tracing"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// A trace of each hook goes to whoever takes traces in this cluster, by both routing methods. One that is elsewhere would be reached
// through the tunnel: the operator is told.
func TestTraces(t *testing.T) {
	traced := func(url string) Observed {
		o := ready(t)
		o.ModelUUID, o.Consumers = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", nil
		o.Watchers.Traces = []vpnk8slib.Relation{{ID: "charm-tracing:7", App: "tempo", Remote: map[string]string{
			"receivers": `[{"protocol":{"name":"otlp_http","type":"http"},"url":"` + url + `"}]`,
		}}}
		return o
	}
	const inside = "http://tempo.cos.svc.cluster.local:4318"
	o := traced(inside)
	d := Reconcile(o)
	assert.Equal(t, hook.Active("connected, seen as 192.0.2.2"), d.Status)
	assert.Equal(t, map[string]string{"receivers": `["otlp_http"]`}, d.Publish["charm-tracing:7"])
	assert.Equal(t, inside+"/v1/traces", d.Trace.URL)
	assert.Equal(t, "gluetun-k8s", d.Trace.Charm)
	assert.Equal(t, "gluetun/0", d.Trace.Labels["juju_unit"])
	unit, to := o.traced()
	assert.Equal(t, o.Unit, unit)
	assert.Equal(t, d.Trace, to, "a hook that could not look goes there as well, as far as it has seen")

	for summary, change := range map[string]func(*Observed){
		"the tunnel is down":      func(o *Observed) { o.Tunnel = Tunnel{} },
		"an option is refused":    func(o *Observed) { o.ConfigErr = errors.New("cannot use option vpn-type") },
		"the agent does not tell": func(o *Observed) { o.Config.RoutingMethod = vpnk8slib.Overlay },
	} {
		o := traced(inside)
		change(&o)
		assert.Equal(t, d.Trace, Reconcile(o).Trace, summary)
	}

	far := Reconcile(traced("http://203.0.113.9:4318"))
	assert.Equal(t, hook.Active("connected, seen as 192.0.2.2; no traces are sent to tempo: it is not in this cluster"), far.Status)
	assert.Equal(t, tracing.Receiver{}, far.Trace)
	assert.Equal(t, tracing.Receiver{}, Reconcile(ready(t)).Trace, "nobody takes any")

	o = traced(inside)
	o.Leader, o.View = false, vpnk8slib.GatewayView{}
	assert.Equal(t, tracing.Receiver{}, Reconcile(o).Trace, "a unit that stands by has not looked at the cluster")
	o = traced(inside)
	o.Event = "stop"
	assert.Equal(t, tracing.Receiver{}, Reconcile(o).Trace, "nor does a pod wait for anybody at its end")
}
