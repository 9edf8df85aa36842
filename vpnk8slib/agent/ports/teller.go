package ports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// teller is a VPN client that has its provider grant ports, and tells on the loopback which it has: gluetun. It renews them itself, and
// says neither when nor for how long they are good: what it tells is believed for as long as any other source's word.
type teller struct {
	url string
	had *answer // of this look; nil: it was not asked yet
}

type answer struct {
	ports []uint16
	err   error
}

func (*teller) atOnce() bool { return true }

func (t *teller) obtain(ctx context.Context, l overlay.Lease, taken func(uint16) bool) (grant, error) {
	if t.had == nil {
		ports, err := t.ask(ctx)
		t.had = &answer{ports, err}
	}
	switch {
	case t.had.err != nil:
		return grant{}, t.had.err
	case len(t.had.ports) == 0:
		return grant{}, errNone
	case slices.Contains(t.had.ports, l.Port):
		return grant{l.Port, lifetime}, nil
	}
	for _, p := range t.had.ports {
		if !taken(p) {
			return grant{p, lifetime}, nil
		}
	}
	return grant{}, errTaken
}

// local asks nobody but who is asked: no proxy, and nobody whom the answer names.
var local = http.Client{
	Timeout:       time.Second,
	Transport:     &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext, MaxResponseHeaderBytes: answerLimit},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

const answerLimit = 4 << 10 // bytes: an answer has some twenty

// ask asks it. The error says the same for as long as the reason is the same.
func (t *teller) ask(ctx context.Context) (ports []uint16, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot ask the VPN client for its ports: %w", err)
		}
	}()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url, nil)
	if err != nil {
		return nil, err
	}
	response, err := local.Do(request)
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err // without the address, which nobody has chosen
	}
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return nil, err
	}
	return parse(text)
}

var errRubbish = errors.New("its answer tells of no ports")

// parse reads which ports there are: gluetun tells of one or of several, and with newer ones of the first of them twice. 0 is none.
func parse(text []byte) (ports []uint16, err error) {
	var told struct {
		Port  *uint16  `json:"port"`
		Ports []uint16 `json:"ports"`
	}
	if json.Unmarshal(text, &told) != nil || told.Port == nil && told.Ports == nil {
		return nil, errRubbish
	}
	if told.Port != nil {
		told.Ports = slices.Insert(told.Ports, 0, *told.Port)
	}
	for _, p := range told.Ports {
		if p != 0 && !slices.Contains(ports, p) {
			ports = append(ports, p)
		}
	}
	return ports, nil
}
