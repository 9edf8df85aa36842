package vpnk8slib

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Network is the cluster's network as discovered by a charm itself. Nothing in it comes from the other end of a relation.
type Network struct {
	Services CIDRs
	Pods     CIDRs
	// Told: Services and Pods are the operator's option cluster-cidrs.
	Told bool
	// ServicesAsked: Services were found by asking the API server for what it refuses. Whoever keeps them and hands them in
	// as Overrides.Services spares every later hook that question.
	ServicesAsked bool

	DNS        []netip.Addr     // the cluster's resolver as this pod knows it, a Service
	DNSOutside []netip.AddrPort // a resolver that is neither Service nor pod: a DNS cache on the node
	APIServers []netip.AddrPort // endpoints and Service
	// Controllers are the Juju controller's addresses (JUJU_API_ADDRESSES): without them the unit's own agent would be cut off.
	Controllers []netip.AddrPort
	Domain      string // cluster.local
	// Sidecars: every node's kubelet keeps an init container running beside the others that says so (Kubernetes 1.29 and newer; an
	// older one would wait for its end).
	Sidecars bool
	Cilium   bool // cilium.io/v2 is served
	// Nodes are the nodes' own addresses, as far as the nodes know them: one behind a router does not know what the world sees it by.
	Nodes []netip.Addr
	// Devices are what device plugins hand out on any node, by the names of their resources.
	Devices []string
}

// Cluster is everything that is routed inside the cluster: pods and Services.
func (n Network) Cluster() CIDRs { return merged(slices.Concat(n.Pods, n.Services)...) }

// Direct is what a closed pod reaches over its own interface: the cluster, and what its agent talks to.
func (n Network) Direct() CIDRs {
	all := slices.Concat(n.Pods, n.Services)
	for _, a := range slices.Concat(n.APIServers, n.Controllers, n.DNSOutside) {
		all = append(all, host(a.Addr()))
	}
	return merged(all...)
}

// agentsWay says what is not known of the way that a unit's agent needs: a lock without it would lock the agent out, and
// nobody could repair anything from here.
func (n Network) agentsWay() error {
	const lost = "and without it this unit's agent would be locked out"
	if len(n.APIServers) == 0 {
		return errors.New("the API server's address is not known, " + lost + "; see what it announces: kubectl -n default get endpointslices")
	}
	if len(n.Controllers) == 0 {
		return errors.New("no address of the Juju controller is known, " + lost + "; see what it announces, and have it announce an address beside its names: juju show-controller")
	}
	return nil
}

// Overrides are what the operator or Juju says in place of, or beside, discovery.
type Overrides struct {
	ClusterCIDRs CIDRs // replaces the discovery of services and pods
	Services     CIDRs // what an earlier hook found by asking (Network.ServicesAsked): the question is not asked again
	Controllers  []netip.AddrPort
	Pod          netip.Addr // this pod's own; zero: not known
	ResolvConf   string     // the text of /etc/resolv.conf; empty: that file
}

// Discover finds the cluster's networks, so that nobody types a CIDR.
func Discover(ctx context.Context, r Reader, o Overrides) (n Network, err error) {
	n.Controllers = o.Controllers
	if n.APIServers, err = apiServers(ctx, r); err != nil {
		return n, err
	}
	var nodes list[seenNode]
	if err := r.List(ctx, "Node", "", &nodes); err != nil {
		return n, err
	}
	n.Sidecars, n.Devices, n.Nodes = sidecars(nodes.Items), devices(nodes.Items), addresses(nodes.Items)
	if o.ClusterCIDRs != nil {
		n.Services, n.Pods, n.Told = o.ClusterCIDRs, o.ClusterCIDRs, true
	} else {
		if n.Services, n.ServicesAsked, err = serviceNetworks(ctx, r, o.Services); err != nil {
			return n, err
		}
		if n.Pods, err = podNetworks(ctx, r, nodes.Items, o.Pod); err != nil {
			return n, err
		}
	}
	if err := n.resolvers(ctx, r, o.ResolvConf); err != nil {
		return n, err
	}
	n.Cilium, err = serves(ctx, r, "CiliumNetworkPolicy")
	return n, err
}

// apiServers reads the endpoints of the Service `kubernetes`, and its own address.
func apiServers(ctx context.Context, r Reader) (out []netip.AddrPort, err error) {
	var endpoints list[seenEndpointSlice]
	if err := r.List(ctx, "EndpointSlice", "default", &endpoints); err != nil {
		return nil, err
	}
	for _, s := range endpoints.Items {
		if s.Metadata.Labels["kubernetes.io/service-name"] != "kubernetes" {
			continue
		}
		for _, e := range s.Endpoints {
			for _, a := range e.Addresses {
				for _, p := range s.Ports {
					if addr, err := netip.ParseAddr(a); err == nil && p.Port != 0 {
						out = append(out, netip.AddrPortFrom(addr, p.Port))
					}
				}
			}
		}
	}
	var service seenService
	if err := r.Get(ctx, Ref{"Service", "kubernetes", "default"}, &service); err != nil {
		return nil, err
	}
	for _, a := range service.Spec.ClusterIPs {
		for _, p := range service.Spec.Ports {
			if addr, err := netip.ParseAddr(a); err == nil {
				out = append(out, netip.AddrPortFrom(addr, p.Port))
			}
		}
	}
	slices.SortFunc(out, func(a, b netip.AddrPort) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Port(), b.Port()))
	})
	return slices.Compact(out), nil
}

// overrideHint ends every failure of discovery: the option that replaces it.
const overrideHint = "name its pod and service networks: juju config " + application + " cluster-cidrs=10.1.0.0/16,10.152.183.0/24"

// serviceNetworks asks for ServiceCIDRs (Kubernetes 1.33 and newer), then for the API server's own flag where its pod can
// be seen (kubeadm and its like). Where neither is there it takes what is known from asking, or asks.
func serviceNetworks(ctx context.Context, r Reader, known CIDRs) (found CIDRs, asked bool, err error) {
	var all []netip.Prefix
	var served list[seenServiceCIDR]
	err = r.List(ctx, "ServiceCIDR", "", &served)
	if err != nil && !notServed(err) {
		return nil, false, err
	}
	for _, s := range served.Items {
		all = append(all, prefixes(s.Spec.CIDRs...)...)
	}
	if len(all) == 0 {
		var pods list[seenPod]
		if err := r.List(ctx, "Pod", "kube-system", &pods); err != nil {
			return nil, false, err
		}
		for _, p := range pods.Items {
			for _, c := range p.Spec.Containers {
				for _, arg := range slices.Concat(c.Command, c.Args) {
					if v, ok := strings.CutPrefix(arg, "--service-cluster-ip-range="); ok {
						all = append(all, prefixes(strings.Split(v, ",")...)...)
					}
				}
			}
		}
	}
	if len(all) > 0 {
		return merged(all...), false, nil
	}
	if len(known) > 0 {
		return known, true, nil
	}
	if all, err = refusedOutside(ctx, r); err != nil {
		return nil, false, err
	}
	if len(all) == 0 {
		return nil, false, errors.New("cannot discover the cluster's service network: " + overrideHint)
	}
	return merged(all...), true, nil
}

// The words of the API server for an address outside its Services' network (Kubernetes, registry/core/service/ipallocator).
var outsideRange = regexp.MustCompile(`range of valid IPs is ([0-9a-fA-F.:]+/[0-9]+)`)

// refusedOutside asks whether a Service could be made at an address that no network holds, once for each family: the
// refusal names the network that it would have to be in. Nothing is made. A refusal in other words is no answer.
func refusedOutside(ctx context.Context, r Reader) (found []netip.Prefix, err error) {
	for _, nowhere := range []string{"0.0.0.0", "::"} {
		err := r.Try(ctx, &Object{APIVersion: "v1", Kind: "Service", Metadata: Metadata{Name: "vpn-service-network", Namespace: "default"},
			Spec: serviceSpec{ClusterIP: nowhere, Ports: []servicePort{{443}}}})
		var forbidden *ForbiddenError
		var answer apierrors.APIStatus
		if err != nil && (errors.As(err, &forbidden) || !errors.As(err, &answer)) {
			return nil, err
		}
		if err != nil {
			if m := outsideRange.FindStringSubmatch(err.Error()); m != nil {
				found = append(found, prefixes(m[1])...)
			}
		}
	}
	return found, nil
}

// podNetworks adds up what the nodes, Calico and Cilium say: a CNI with its own address management leaves the nodes' field
// empty, or lets it name something else.
func podNetworks(ctx context.Context, r Reader, nodes []seenNode, own netip.Addr) (CIDRs, error) {
	var found []netip.Prefix
	for _, n := range nodes {
		found = append(found, prefixes(n.Spec.PodCIDRs...)...)
	}
	for _, kind := range []string{"IPPool", "CiliumNode"} {
		var pools list[seenPool]
		if err := r.List(ctx, kind, "", &pools); err != nil && !notServed(err) {
			return nil, err
		}
		for _, p := range pools.Items {
			found = append(found, p.networks(own)...)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("cannot discover the cluster's pod network: " + overrideHint)
	}
	return merged(found...), nil
}

// networks are those of a pool in which there are pods. Operators make others, disabled, or not for workloads, to say of a network outside
// of the cluster that nothing is translated on the way there: no pod is to reach it beside the tunnel for that. While pods move from one
// pool to another the old one is disabled as well, and those that are there still, this one among them, have its addresses.
func (p seenPool) networks(own netip.Addr) (all []netip.Prefix) {
	unused := p.Spec.Disabled || len(p.Spec.Uses) > 0 && !slices.Contains(p.Spec.Uses, "Workload")
	for _, n := range prefixes(append(p.Spec.IPAM.PodCIDRs, p.Spec.CIDR)...) {
		if !unused || n.Contains(own) {
			all = append(all, n)
		}
	}
	return all
}

func addresses(nodes []seenNode) (all []netip.Addr) {
	for _, n := range nodes {
		for _, a := range n.Status.Addresses {
			if addr, err := netip.ParseAddr(a.Address); err == nil {
				all = append(all, addr.Unmap())
			}
		}
	}
	return all
}

// sidecars says whether each kubelet is new enough for them.
func sidecars(nodes []seenNode) bool {
	for _, n := range nodes {
		m := kubeletVersion.FindStringSubmatch(n.Status.NodeInfo.KubeletVersion)
		if m == nil {
			return false
		}
		if minor, err := strconv.Atoi(m[1]); err != nil || minor < 29 {
			return false
		}
	}
	return len(nodes) > 0
}

// kubeletVersion finds the minor version in a kubelet's, such as v1.32.9+k3s1.
var kubeletVersion = regexp.MustCompile(`^v1\.([0-9]+)\.`)

// prefixes keeps what is a network, and none wider than a cluster has: a kill switch with half of the world in it would be none.
func prefixes(texts ...string) (out []netip.Prefix) {
	for _, t := range texts {
		if p, err := netip.ParsePrefix(strings.TrimSpace(t)); err == nil && p.Bits() >= widest(p.Addr()) {
			out = append(out, p.Masked())
		}
	}
	return out
}

// resolvers reads what kubelet wrote for this pod. A resolver in the service or pod network is the cluster's. A
// link-local one is a cache on the node and gets its own rule. Any other gets none: a router's asks the world.
func (n *Network) resolvers(ctx context.Context, r Reader, text string) error {
	if text == "" {
		b, err := os.ReadFile("/etc/resolv.conf")
		if err != nil {
			return fmt.Errorf("cannot find the cluster's DNS: %w", err)
		}
		text = string(b)
	}
	n.Domain = "cluster.local"
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		if f[0] == "search" {
			for _, d := range f[1:] {
				if domain, ok := strings.CutPrefix(d, "svc."); ok {
					n.Domain = domain
				}
			}
		}
		a, err := netip.ParseAddr(f[1])
		if f[0] != "nameserver" || err != nil {
			continue
		}
		switch {
		case n.Services.Contains(a) || n.Pods.Contains(a):
			n.DNS = append(n.DNS, a)
		case a.IsLinkLocalUnicast():
			n.DNSOutside = append(n.DNSOutside, netip.AddrPortFrom(a, 53))
		}
	}
	if len(n.DNS) > 0 {
		return nil
	}
	var dns seenService
	err := r.Get(ctx, Ref{"Service", "kube-dns", "kube-system"}, &dns)
	if err != nil && !notServed(err) {
		return err
	}
	for _, ip := range dns.Spec.ClusterIPs {
		if a, err := netip.ParseAddr(ip); err == nil {
			n.DNS = append(n.DNS, a)
		}
	}
	for _, a := range n.DNSOutside {
		n.DNS = append(n.DNS, a.Addr())
	}
	if len(n.DNS) == 0 {
		return errors.New("cannot find the cluster's DNS: neither /etc/resolv.conf nor the Service kube-system/kube-dns names it; if it has another network, " + overrideHint)
	}
	return nil
}

// serves says whether the cluster knows a kind at all.
func serves(ctx context.Context, r Reader, kind string) (bool, error) {
	err := r.List(ctx, kind, "", &struct{}{})
	if notServed(err) {
		return false, nil
	}
	return err == nil, err
}
