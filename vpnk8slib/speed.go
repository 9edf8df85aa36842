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
	speedStreams = 4        // side by side: one alone waits for its acknowledgements
	speedChunk   = 1 << 20  // bytes in one request, at most
	speedFirst   = 16 << 10 // bytes in the first one that goes to the server: of those only what it has taken counts, and a slow way takes little
	speedSoon    = 250 * time.Millisecond
	speedLooks   = 5 // for the latency
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
	if s.Down, err = m.run(ctx, l, speedChunk, m.get); err != nil {
		return s, fmt.Errorf("cannot measure what comes from %s: %w", server, err)
	}
	if s.Up, err = m.run(ctx, l, speedFirst, m.put); err != nil {
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
		if err := m.ask(ctx, http.MethodGet, m.up, nil, speedChunk, func(int64) {}); err != nil {
			return 0, err
		}
		if took := time.Since(began); n > 0 && (shortest == 0 || took < shortest) { // the first one makes the connection
			shortest = took
		}
	}
	return shortest, nil
}

// run has several requests on their way at once until a limit is reached, each with as many bytes as it says; one that was answered soon
// is followed by a larger one. The end of the time is no error.
func (m meter) run(ctx context.Context, l SpeedLimits, first int64, request func(ctx context.Context, n int64, count func(int64)) error) (Rate, error) {
	ctx, cancel := context.WithTimeout(ctx, l.Each)
	defer cancel()
	began := time.Now()
	var mu sync.Mutex
	var taken int64 // of the limit
	var r Rate
	take := func(n int64) int64 {
		mu.Lock()
		defer mu.Unlock()
		n = min(n, l.Bytes-taken)
		taken += n
		return n
	}
	count := func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		r.Bytes, r.In = r.Bytes+n, time.Since(began)
	}
	errs := make([]error, speedStreams)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			for size := first; ctx.Err() == nil; {
				n, asked := take(size), time.Now()
				if n <= 0 {
					return
				}
				if err := request(ctx, n, count); err != nil {
					if ctx.Err() == nil {
						errs[i] = err
					}
					return
				}
				if time.Since(asked) < speedSoon {
					size = min(2*size, speedChunk)
				}
			}
		})
	}
	all.Wait()
	err := errors.Join(errs...)
	if err == nil && r.Bytes == 0 {
		err = fmt.Errorf("nothing has got through in %s", l.Each)
	}
	return r, err
}

// get takes n bytes, and counts them as they come.
func (m meter) get(ctx context.Context, n int64, count func(int64)) error {
	from := *m.down
	from.RawQuery = url.Values{"ckSize": {fmt.Sprint(speedChunk >> 20)}}.Encode()
	came := int64(0)
	err := m.ask(ctx, http.MethodGet, &from, nil, n, func(more int64) {
		came += more
		count(more)
	})
	if err == nil && came < n {
		err = fmt.Errorf("it sends %d bytes where %d were asked for: it is no server of LibreSpeed's", came, n)
	}
	return err
}

// put gives n bytes, and counts them when the server has taken all of them: before, they may be anywhere on this side.
func (m meter) put(ctx context.Context, n int64, count func(int64)) error {
	err := m.ask(ctx, http.MethodPost, m.up, noise()[:n], speedChunk, func(int64) {})
	if err == nil {
		count(n)
	}
	return err
}

// noise is what no compression on the way makes smaller.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, speedChunk)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
})

// ask makes one request, and takes at most so many bytes of the answer, which it counts.
func (m meter) ask(ctx context.Context, method string, at *url.URL, body []byte, most int64, count func(int64)) error {
	request, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	if len(body) > 0 {
		request.Header.Set("Content-Type", "application/octet-stream")
	}
	response, err := m.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", at, response.Status)
	}
	_, err = io.Copy(counter(count), io.LimitReader(response.Body, most))
	return err
}

// counter counts what is written to it.
type counter func(int64)

func (c counter) Write(b []byte) (int, error) {
	c(int64(len(b)))
	return len(b), nil
}
