//go:build leaks

package leaks

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
)

// trackers are asked by qBittorrent itself. What an unprotected pod sends of the same kind shows that it would be seen.
var trackers = map[string]struct{ url, address, like string }{
	"announce-http": {"http://198.19.200.1:80/announce", "198.19.200.1", "tcp4"},
	"announce-udp":  {"udp://198.19.200.2:7/announce", "198.19.200.2", "udp4"},
}

// password is in qBittorrent's log, where none is set.
var password = regexp.MustCompile(`temporary password is provided for this session: (\S+)`)

// announcer has the client's qBittorrent announce a torrent, again and again.
type announcer struct{ asked atomic.Int64 }

// ask gives qBittorrent a torrent, and then has it announce that. It does nothing where qBittorrent does not run.
func (a *announcer) ask(ctx context.Context, s *stage) error {
	log, err := s.Kubectl(ctx, "-n", s.model, "logs", pod, "-c", app)
	if err != nil {
		return err
	}
	all := password.FindAllStringSubmatch(log, -1)
	if len(all) == 0 {
		return nil
	}
	magnet := "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567"
	for _, t := range trackers {
		magnet += "&tr=" + t.url
	}
	script := `api=http://127.0.0.1:8080/api/v2 jar=$(mktemp)
trap 'rm -f "$jar"' EXIT
curl -sfm 3 -c "$jar" -o /dev/null --data-urlencode username=admin --data-urlencode password="$0" $api/auth/login
curl -sfm 3 -b "$jar" -o /dev/null --data-urlencode urls="$1" $api/torrents/add || :
curl -sfm 3 -b "$jar" -o /dev/null -d hashes=all $api/torrents/reannounce`
	if _, err := s.Lab(ctx, "exec", "--pod", s.client(), "--", "bash", "-euc", script, all[len(all)-1][1], magnet); err != nil {
		return err
	}
	a.asked.Add(1)
	return nil
}

// announce keeps it going until the test ends.
func (s *stage) announce() {
	ctx, stop := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		for ; ctx.Err() == nil; time.Sleep(time.Second) {
			_ = s.announcer.ask(ctx, s) // while there is no pod there is nobody who could
		}
	})
	s.Cleanup(func() { stop(); ended.Wait() })
}

// announced is what is known of qBittorrent's announces.
func (s *stage) announced() map[string]count {
	s.Helper()
	log, err := s.Lab(s.Context(), "logs", "inet")
	require.NoError(s, err)
	out := map[string]count{}
	for kind, t := range trackers {
		seen, err := s.OnUplink(s.Context(), t.address)
		require.NoError(s, err)
		c := count{Sent: int(s.announcer.asked.Load()), Beside: seen[t.address], Arrived: map[string]int{}}
		for line := range strings.Lines(log) {
			var a struct{ Src, Dst string }
			if json.Unmarshal([]byte(line), &a) == nil && a.Dst == t.address {
				c.Arrived[a.Src]++
			}
		}
		out[kind] = c
	}
	return out
}
