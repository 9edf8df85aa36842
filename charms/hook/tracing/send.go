package tracing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"

	"github.com/charmarr/charmarr-go/charms/relations"
	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// Limit is how long sending may take, from the asking for a name to the answer: Juju waits for the hook that long.
const Limit = 500 * time.Millisecond

// Receiver is who takes the trace of a hook; without a URL nobody does.
type Receiver struct {
	URL      string         // where it takes them, by OTLP over HTTP
	Networks []netip.Prefix // of the cluster: nothing is sent elsewhere
	Charm    string         // whose hook it is
	Labels   map[string]string
}

// Outcome is what has come of a hook.
type Outcome struct {
	Hook   string
	Failed bool
	Status string // the unit's, without its message; empty where none was set
}

// Send tells r of the hook that ctx belongs to: once, whatever comes of it.
//
// Nothing is sent out of the cluster. What counts is the address that a name really has, when the connection is made; there is no proxy,
// and no redirection is followed. Behind that stands what the pod enforces for each of its containers, the charm's among them: over the
// pod's own interface nothing new leaves but to the cluster, and to any other address through the tunnel or not at all.
//
// With https the receiver's certificate is proven by the authorities that this image has. An authority of the model's own, from a relation
// certificate_transfer, is not asked for: such a receiver is refused.
func Send(ctx context.Context, r Receiver, o Outcome) error {
	at, ok := ctx.Value(key{}).(here)
	if !ok || r.URL == "" || at.over() {
		return nil
	}
	body, err := at.encode(r, o, time.Now())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	c := http.Client{
		Transport:     r.transport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := c.Do(req)
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the answer is %d", answer.StatusCode)
	}
	return nil
}

func (r Receiver) transport() *http.Transport {
	return &http.Transport{DialContext: r.dial, DisableKeepAlives: true}
}

// over ends the hook's trace, and says whether it has been ended before.
func (h *hook) over() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.sent
	h.sent = true
	return before
}

// dial connects to an address of the cluster.
func (r Receiver) dial(ctx context.Context, network, to string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(to)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err == nil && !slices.ContainsFunc(r.Networks, func(p netip.Prefix) bool { return p.Contains(a.Addr().Unmap()) }) {
			err = relations.ErrElsewhere
		}
		return err
	}}
	return d.DialContext(ctx, network, net.JoinHostPort(absolute(host), port))
}

// absolute is an address, or a name that is asked for as it is.
func absolute(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	return overlay.Absolute(host)
}
