// Package vpnk8slib routes a charmed workload's traffic through a VPN gateway, fail-closed: it is the library of the
// vpn-gateway relation, for both ends of it.
//
//	consumer pod                                   gateway pod
//	┌───────────────────────────────┐              ┌────────────────────────────────────────┐
//	│ app ── route ──► vxlan0 ──────┼─ UDP ───────►│ vxlan0 ── forward only ──► tun0 ──► VPN│
//	│   └── cluster address ► eth0  │  pod to pod  │ own drop rules: nothing leaves but tun0│
//	└───────────────────────────────┘              └────────────────────────────────────────┘
//	NetworkPolicy of the consumer: cluster pods, DNS, API server, Juju controller; nothing else
//
// A charm observes, decides and applies:
//
//	link := ReadLink(app, relations)               what the relation says; four distinct answers
//	view, err := ObserveClient(ctx, kube, app, …)  what the cluster says
//	pod, err := ReadPod()                          what this very pod's network says
//	client := Client{…}                            all of it together
//	client.State(), client.MayStart(pod)           the decision; pure
//	protect, release, err := ClientPlans(client)   what to apply before and after the workload is touched
//	Reconcile(ctx, kube, protect)                  the writing
//
// The order is part of the meaning. Protect lays the kill switch first and the route after it, before a workload starts;
// Release takes things away after the workload has stopped, and exists in one state only: no relation, and the operator
// asked for no protection. Everything that cannot be read, or is newer than this library, keeps what protects.
package vpnk8slib
