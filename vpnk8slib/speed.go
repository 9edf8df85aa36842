package vpnk8slib

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// SpeedLimits bound a measurement: each direction ends with whichever comes first.
type SpeedLimits struct {
	Bytes int64         // in each direction
	Each  time.Duration // for each direction
}

// Speed is what was measured, in bits for each second.
type Speed struct {
	Latency  time.Duration // of the shortest of a few requests
	Down, Up Rate
}

// Rate is how much went one way, in what time.
type Rate struct {
	Bytes int64
	In    time.Duration
}

// Mbits are a rate's, for each second.
func (r Rate) Mbits() float64 {
	if r.In <= 0 {
		return 0
	}
	return float64(r.Bytes) * 8 / 1e6 / r.In.Seconds()
}

const (
	speedStreams = 4       // side by side: one alone waits for its acknowledgements
	speedChunk   = 1 << 20 // bytes in one request; what has not arrived whole is not counted
	speedLooks   = 5       // for the latency
)

// MeasureSpeed measures by a server of LibreSpeed's: garbage.php, which sends as much as it is asked for, and empty.php, which takes
// anything. It sends by one interface alone, as TryEgress does.
func MeasureSpeed(ctx context.Context, w Way, server string, l SpeedLimits) (s Speed, err error) {
	base, err := url.Parse(server)
	if err != nil {
		return s, err
	}
	m := meter{down: base.JoinPath("garbage.php"), up: base.JoinPath("empty.php"), client: http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: speedStreams,
		DialContext: func(ctx context.Context, _, at string) (net.Conn, error) {
			return w.dial(ctx, w.names(), "ip4", "tcp", at)
		},
	}}}
	defer m.client.CloseIdleConnections()
	if s.Latency, err = m.latency(ctx, l.Each); err != nil {
		return s, fmt.Errorf("cannot reach %s: %w", server, err)
	}
	if s.Down, err = m.run(ctx, l, m.get); err != nil {
		return s, fmt.Errorf("cannot measure what comes from %s: %w", server, err)
	}
	if s.Up, err = m.run(ctx, l, m.put); err != nil {
		return s, fmt.Errorf("cannot measure what goes to %s: %w", server, err)
	}
	return s, nil
}

type meter struct {
	down, up *url.URL
	client   http.Client
}

// latency is the shortest of a few requests over one connection.
func (m meter) latency(ctx context.Context, limit time.Duration) (shortest time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for n := range speedLooks {
		began := time.Now()
		if _, err := m.ask(ctx, http.MethodGet, m.up, nil); err != nil {
			return 0, err
		}
		if took := time.Since(began); n > 0 && (shortest == 0 || took < shortest) { // the first one makes the connection
			shortest = took
		}
	}
	return shortest, nil
}

// run has several chunks on their way at once until a limit is reached. The end of the time is no error.
func (m meter) run(ctx context.Context, l SpeedLimits, chunk func(context.Context) error) (Rate, error) {
	ctx, cancel := context.WithTimeout(ctx, l.Each)
	defer cancel()
	began := time.Now()
	var taken, done, last atomic.Int64
	errs := make([]error, speedStreams)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			for ctx.Err() == nil && taken.Add(speedChunk) <= max(l.Bytes, speedChunk) {
				if err := chunk(ctx); err != nil {
					if ctx.Err() == nil {
						errs[i] = err
					}
					return
				}
				done.Add(speedChunk)
				last.Store(int64(time.Since(began)))
			}
		})
	}
	all.Wait()
	r := Rate{done.Load(), time.Duration(last.Load())}
	err := errors.Join(errs...)
	if err == nil && r.Bytes == 0 {
		err = fmt.Errorf("not one megabyte has got through in %s", l.Each)
	}
	return r, err
}

func (m meter) get(ctx context.Context) error {
	from := *m.down
	from.RawQuery = url.Values{"ckSize": {fmt.Sprint(speedChunk >> 20)}}.Encode()
	n, err := m.ask(ctx, http.MethodGet, &from, nil)
	if err == nil && n < speedChunk {
		err = fmt.Errorf("it sends %d bytes where %d were asked for: it is no server of LibreSpeed's", n, speedChunk)
	}
	return err
}

func (m meter) put(ctx context.Context) error {
	_, err := m.ask(ctx, http.MethodPost, m.up, noise())
	return err
}

// noise is what no compression on the way makes smaller.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, speedChunk)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
})

// ask makes one request, and says how much was answered. What is more than was asked for is not taken.
func (m meter) ask(ctx context.Context, method string, at *url.URL, body []byte) (int64, error) {
	request, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	if len(body) > 0 {
		request.Header.Set("Content-Type", "application/octet-stream")
	}
	response, err := m.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, io.LimitReader(response.Body, speedChunk))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", at, response.Status)
	}
	return n, err
}
