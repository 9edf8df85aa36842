package names

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// A search list makes names of the cluster's of all that a program asks for: tracker.example.com is asked for as
// tracker.example.com.downloads.svc.cluster.local, as tracker.example.com.svc.cluster.local and as tracker.example.com.cluster.local before it is
// asked for as it is. The cluster's resolver is to hear none of them. It hears example.media of tracker.example.media where there is a
// namespace named media, because nobody can tell that from a Service; and in a cluster whose resolver tells of no namespace by itself.

// Above is what must be there in the cluster for a name to be there.
type Above struct {
	Zone               string // the cluster's domain that the name is in
	Namespace, Service string // whole names; empty: it needs none, or it is there
}

// aboveIn says that of a name in one of the cluster's domains, asked by a pod of a namespace; false: it cannot be there. Below the domain stand
// svc and pod alone, and the domains of Services have no more than three labels before the namespace, three only with underscores (the DNS
// specification of Kubernetes).
func aboveIn(zone, own, name string) (a Above, may bool) {
	labels := strings.Split(strings.TrimSuffix(strings.TrimSuffix(name, zone), "."), ".")
	last := len(labels) - 1
	switch labels[last] {
	case "", "pod", "dns-version":
		return a, true
	case "svc":
	default:
		return a, false
	}
	if last < 2 { // a namespace, at most
		return a, true
	}
	namespace, before := labels[last-1]+".svc."+zone, labels[:last-1]
	if a.Zone = zone; labels[last-1] != own {
		a.Namespace = namespace
	}
	switch {
	case len(before) == 1:
		return a, true
	case len(before) == 2, len(before) == 3 && strings.HasPrefix(before[0], "_") && strings.HasPrefix(before[1], "_"):
		a.Service = before[len(before)-1] + "." + namespace
		return a, true
	default:
		return a, false
	}
}

// there remembers for a moment what the cluster has: to ask for each name's namespace each time would double its resolver's work.
type there struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// remembered is how long what was there is taken to be there.
const remembered = 30 * time.Second

func (t *there) has(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Now().Before(t.until[name])
}

func (t *there) add(name string) {
	const most = 1000 // what some clusters' resolvers say of any name
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.until == nil || len(t.until) >= most {
		t.until = map[string]time.Time{}
	}
	t.until[name] = time.Now().Add(remembered)
}

// stands says whether what must be above a name is there. Of what is not there nothing below is asked for, so that of a tracker's name the
// cluster's resolver hears the end alone, such as com. An error is that nobody answers.
func (r *Resolver) stands(ctx context.Context, u Upstream, a Above) (bool, error) {
	if a.Namespace != "" {
		found, err := r.found(ctx, u, a.Zone, a.Namespace)
		if err != nil {
			return false, err
		}
		if !found { // kube-dns tells of none: of default neither, which there always is
			if told, err := r.found(ctx, u, a.Zone, "default.svc."+a.Zone); err != nil || told {
				return false, err
			}
		}
	}
	if a.Service == "" {
		return true, nil
	}
	return r.found(ctx, u, a.Zone, a.Service)
}

// found says whether the cluster has a name.
func (r *Resolver) found(ctx context.Context, u Upstream, zone, name string) (bool, error) {
	if r.there.has(name) {
		return true, nil
	}
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), dns.TypeA)
	m, err := u.ask(ctx, q, "udp")
	switch {
	case err != nil:
		return false, err
	case m.Rcode == dns.RcodeNameError || m.Rcode == dns.RcodeSuccess && elsewhere(m, zone):
		return false, nil
	case m.Rcode == dns.RcodeSuccess: // without an address, as a namespace is, or with one
		r.there.add(name)
		return true, nil
	default: // it does not know yet
		return false, errNobody
	}
}

// elsewhere says whether an answer is about another domain: with autopath CoreDNS goes through the search list by itself, and answers for com
// where it was asked for com.downloads.svc.cluster.local.
func elsewhere(m *dns.Msg, zone string) bool {
	outside := func(name string) bool { return !within(canonical(name), zone) }
	return slices.ContainsFunc(slices.Concat(m.Answer, m.Ns), func(r dns.RR) bool {
		alias, is := r.(*dns.CNAME)
		return outside(r.Header().Name) || is && outside(alias.Target)
	})
}
