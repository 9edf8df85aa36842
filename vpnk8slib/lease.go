package vpnk8slib

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Leases are what a gateway's clients have of its overlay, for as long as their relation lives: addresses, and a key. They are
// kept where the gateway's agent reads them.
type Leases struct {
	Blocks []overlay.Block
	Keys   map[string]string // of blocks, by their names
	// Seen are the pods of clients as the agent knew them last.
	Seen map[netip.Addr]netip.Addr
	// Before is what the agents were told of the gateway last; nil: nothing yet.
	Before *overlay.Gateway
}

// ObserveLeases reads the leases of a gateway, and gives those of its consumers that have none yet a new one, as its network has
// room. A lease whose relation is gone is not among them. Seen, if the agent tells, takes the place of what was kept.
func ObserveLeases(ctx context.Context, r Reader, a App, network OverlayNetwork, consumers []Consumer, agent *overlay.Report) (Leases, error) {
	var config, keys seenConfigMap // a Secret is read alike
	for ref, into := range map[Ref]*seenConfigMap{
		{"ConfigMap", a.gatewayConfig(), a.Namespace}: &config, {"Secret", a.keys(), a.Namespace}: &keys,
	} {
		if err := r.Get(ctx, ref, into); err != nil && !notServed(err) {
			return Leases{}, told(err, a.Name)
		}
	}
	had := Leases{Keys: map[string]string{}, Seen: map[netip.Addr]netip.Addr{}}
	var kept overlay.Config
	if json.Unmarshal([]byte(config.Data[agentFile]), &kept) == nil && kept.Gateway != nil { // what cannot be read is leased anew
		had.Blocks, had.Seen = kept.Gateway.Blocks, kept.Gateway.Seen
	}
	for name, text := range keys.Data {
		if key, err := base64.StdEncoding.DecodeString(text); err == nil {
			had.Keys[name] = string(key)
		}
	}
	if agent != nil && agent.Gateway != nil {
		had.Seen = map[netip.Addr]netip.Addr{}
		for client, seen := range agent.Gateway.Clients {
			had.Seen[client] = seen.Pod
		}
	}
	leases := had.renew(network.Wide().prefix, consumers)
	leases.Before = kept.Gateway
	return leases, nil
}

// renew keeps what relations have, and gives the others what is free: beginning where its relation's number says, which Juju gives once. The
// kernel goes on with connections of whoever had a block before, and the provider's router with a port: they are not to be the next one's.
func (l Leases) renew(network netip.Prefix, consumers []Consumer) Leases {
	out := Leases{Keys: map[string]string{}, Seen: map[netip.Addr]netip.Addr{}}
	taken := func(p netip.Prefix) bool {
		return slices.ContainsFunc(out.Blocks, func(b overlay.Block) bool { return b.Addresses.Overlaps(p) })
	}
	var names []string
	for _, c := range consumers {
		names = append(names, LeaseName(c.Relation))
	}
	for _, b := range l.Blocks {
		if slices.Contains(names, b.Name) && network.Contains(b.Addresses.Addr()) && b.Addresses.Bits() == blockBits && !b.Addresses.Contains(first(network)) && !taken(b.Addresses) {
			out.Blocks = append(out.Blocks, b)
		}
	}
	for _, name := range names {
		if _, ok := out.of(name); ok {
			continue
		}
		for i := range blocks {
			block := ahead(netip.PrefixFrom(network.Addr(), blockBits), 1+(turn(name)+i)%blocks)
			if !taken(block) {
				out.Blocks = append(out.Blocks, overlay.Block{Name: name, Addresses: block})
				break
			}
		}
	}
	slices.SortFunc(out.Blocks, func(a, b overlay.Block) int { return a.Addresses.Addr().Compare(b.Addresses.Addr()) })
	for _, b := range out.Blocks {
		out.Keys[b.Name] = l.Keys[b.Name]
		if out.Keys[b.Name] == "" {
			out.Keys[b.Name] = rand.Text() + rand.Text() // 260 bits
		}
	}
	for client, pod := range l.Seen {
		stays := func(b overlay.Block) bool { return b.Addresses.Contains(client) && slices.Contains(l.Blocks, b) }
		if slices.ContainsFunc(out.Blocks, stays) {
			out.Seen[client] = pod
		}
	}
	for i, b := range out.Blocks { // the last: with it a block is the same as before
		c := consumers[slices.IndexFunc(consumers, func(c Consumer) bool { return LeaseName(c.Relation) == b.Name })]
		out.Blocks[i].Port, out.Blocks[i].App = c.Data.WantPort, c.Data.InstanceName
	}
	return out
}

// blocks is how many there are to give: the first is the gateway's own.
const blocks = 1<<(blockBits-overlayBits) - 1

// turn is which of them a lease begins to look at: another one for each of so many relations in a row, and the first for number 1.
func turn(name string) int {
	n, _ := strconv.Atoi(name[strings.LastIndex(name, "-")+1:]) // a name without a number is as good as number 0
	return (n + blocks - 1) % blocks
}

// of is the lease of a name.
func (l Leases) of(name string) (overlay.Block, bool) {
	i := slices.IndexFunc(l.Blocks, func(b overlay.Block) bool { return b.Name == name })
	if i < 0 {
		return overlay.Block{}, false
	}
	return l.Blocks[i], true
}

// LeaseName is the name of a relation's lease: the relation's own, as a file can be called.
func LeaseName(relation string) string { return strings.ReplaceAll(relation, ":", "-") }

// KeyField is where in that secret the key is; the agent of a client finds it in a file of that name.
const KeyField = "key"

// KeyLabel is the label of the Juju secret with the key of a relation's lease.
func KeyLabel(relation string) string { return "key-" + LeaseName(relation) }

// Offer is what a gateway tells one consumer. Secret is the URI of the Juju secret with the key of its lease; a method that
// leases nothing needs none. The error is ErrNotReady while there is nothing to tell yet, or the consumer's own.
func (g Gateway) Offer(c Consumer, secret string) (ProviderData, error) {
	m, err := methodOf(g.Data.RoutingMethod)
	if err != nil {
		return ProviderData{}, err
	}
	return m.offer(g, c, secret)
}
