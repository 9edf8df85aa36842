package names

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// A search list makes names of the cluster's of all that a program asks for: tracker.example.com is asked for as
// tracker.example.com.downloads.svc.cluster.local, as tracker.example.com.svc.cluster.local and as tracker.example.com.cluster.local before it is
// asked for as it is. The cluster's resolver is to hear none of them.

// aboveIn are the names that must be there for a name in one of the cluster's domains to be there, the highest first; false: it cannot be
// there. Below the domain stand svc and pod alone, and the domains of Services have no more than three labels before the namespace, three
// only with underscores (the DNS specification of Kubernetes).
func aboveIn(zone, name string) (must []string, may bool) {
	labels := strings.Split(strings.TrimSuffix(strings.TrimSuffix(name, zone), "."), ".")
	last := len(labels) - 1
	switch labels[last] {
	case "", "pod", "dns-version":
		return nil, true
	case "svc":
	default:
		return nil, false
	}
	if last < 2 { // a namespace, at most
		return nil, true
	}
	namespace := labels[last-1] + ".svc." + zone
	switch before := labels[:last-1]; {
	case len(before) == 1:
		return []string{namespace}, true
	case len(before) == 2, len(before) == 3 && strings.HasPrefix(before[0], "_") && strings.HasPrefix(before[1], "_"):
		return []string{namespace, before[len(before)-1] + "." + namespace}, true
	default:
		return nil, false
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

// add holds no more than the cluster has.
func (t *there) add(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.until == nil {
		t.until = map[string]time.Time{}
	}
	t.until[name] = time.Now().Add(remembered)
}

// found says whether the cluster has a name: of what it does not have, nothing below is asked for, so that of a tracker's name it hears the
// end alone, such as com. An error is that nobody answers.
func (r *Resolver) found(ctx context.Context, u Upstream, name string) (bool, error) {
	if r.there.has(name) {
		return true, nil
	}
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), dns.TypeA)
	m, err := u.ask(ctx, q, "udp")
	switch {
	case err != nil:
		return false, err
	case m.Rcode == dns.RcodeSuccess: // without an address, as a namespace is, or with one
		r.there.add(name)
		return true, nil
	case m.Rcode == dns.RcodeNameError:
		return false, nil
	default: // it does not know yet
		return false, errNobody
	}
}
