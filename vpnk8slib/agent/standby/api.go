package standby

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// annotation is where a lease says what its holder knows.
const annotation = "vpn.charmarr.io/held"

// microTime is how Kubernetes writes a lease's times.
const microTime = "2006-01-02T15:04:05.000000Z07:00"

// errConflict: somebody else has written it meanwhile.
var errConflict = errors.New("somebody else has written it")

// api asks for one lease, and writes it. Two requests need no client of Kubernetes', which would be larger than the agent.
type api struct {
	server string // host:port
	dir    string // of the token, which is read for each request: it may be replaced

	authority []byte // by which client knows the server
	client    *http.Client
}

// object is what a Lease's JSON holds, as far as it is read or written here.
type object struct {
	Metadata struct {
		ResourceVersion string            `json:"resourceVersion,omitempty"`
		Annotations     map[string]string `json:"annotations,omitempty"`
	} `json:"metadata"`
	Spec struct {
		Holder      *string `json:"holderIdentity"` // null takes it away
		Seconds     int     `json:"leaseDurationSeconds,omitempty"`
		Acquired    string  `json:"acquireTime,omitempty"`
		Renewed     string  `json:"renewTime,omitempty"`
		Transitions int     `json:"leaseTransitions,omitempty"`
	} `json:"spec"`
}

func (o object) lease() (l lease) {
	l.taken, l.renewed, l.version, l.times = o.Spec.Acquired != "", o.Spec.Renewed, o.Metadata.ResourceVersion, o.Spec.Transitions
	if o.Spec.Holder != nil {
		l.holder = *o.Spec.Holder
	}
	if json.Unmarshal([]byte(o.Metadata.Annotations[annotation]), &l.held) != nil {
		l.held = overlay.Held{} // half of it may be there; clients then find the way by the gateway's name
	}
	return l
}

// read asks for it.
func (a *api) read(ctx context.Context, s overlay.Standby) (lease, error) {
	l, err := a.do(ctx, s, http.MethodGet, nil)
	if err != nil {
		return l, fmt.Errorf("cannot read Lease %s: %w", s.Lease, err)
	}
	return l, nil
}

// write makes it the holder's, or nobody's where that is empty: if it is still the one that was read.
func (a *api) write(ctx context.Context, s overlay.Standby, l lease, holder string, held overlay.Held, now time.Time) (lease, error) {
	var o object
	o.Metadata.ResourceVersion = l.version
	o.Spec.Renewed = now.UTC().Format(microTime)
	if holder != "" {
		text, err := json.Marshal(held)
		if err != nil {
			return l, fmt.Errorf("cannot write Lease %s: %w", s.Lease, err)
		}
		o.Metadata.Annotations = map[string]string{annotation: string(text)}
		o.Spec.Holder, o.Spec.Seconds = &holder, int(Lasts/time.Second)
	}
	if holder != "" && holder != l.holder {
		o.Spec.Acquired, o.Spec.Transitions = o.Spec.Renewed, l.times+1
	}
	body, err := json.Marshal(o)
	if err == nil {
		l, err = a.do(ctx, s, http.MethodPatch, body)
	}
	if err != nil {
		return l, fmt.Errorf("cannot write Lease %s: %w", s.Lease, err)
	}
	return l, nil
}

func (a *api) do(ctx context.Context, s overlay.Standby, method string, body []byte) (l lease, err error) {
	token, err := a.prepare()
	if err != nil {
		return l, err
	}
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	url := fmt.Sprintf("https://%s/apis/coordination.k8s.io/v1/namespaces/%s/leases/%s", a.server, s.Namespace, s.Lease)
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return l, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/merge-patch+json")
	request.Header.Set("User-Agent", "charmarr")
	answer, err := a.client.Do(request)
	if err != nil {
		return l, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	switch {
	case err != nil:
		return l, err
	case answer.StatusCode == http.StatusConflict:
		return l, errConflict
	case answer.StatusCode != http.StatusOK:
		return l, fmt.Errorf("the API server says %s", answer.Status)
	}
	var o object
	if err := json.Unmarshal(text, &o); err != nil {
		return l, err
	}
	return o.lease(), nil
}

// prepare reads the token, and the authority, which is rarely another one than before.
func (a *api) prepare() (token string, err error) {
	text, err := os.ReadFile(filepath.Join(a.dir, "token"))
	if err != nil {
		return "", err
	}
	authority, err := os.ReadFile(filepath.Join(a.dir, "ca.crt"))
	if err != nil {
		return "", err
	}
	if a.client == nil || !bytes.Equal(authority, a.authority) {
		known := x509.NewCertPool()
		if !known.AppendCertsFromPEM(authority) {
			return "", errors.New("there is no certificate in ca.crt")
		}
		a.authority = authority
		a.client = &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: known, MinVersion: tls.VersionTLS12},
			DialContext:     (&net.Dialer{Timeout: patient}).DialContext,
			MaxIdleConns:    1, IdleConnTimeout: time.Minute,
		}}
	}
	return strings.TrimSpace(string(text)), nil
}
