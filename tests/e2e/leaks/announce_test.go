//go:build leaks

package leaks

import (
	"context"
	"crypto/sha1"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/stretchr/testify/require"
)

// trackers are asked by qBittorrent itself. What an unprotected pod sends of the same kind shows that it would be seen.
var trackers = map[string]struct{ url, address, like string }{
	"announce-http": {"http://198.19.200.1:80/announce", "198.19.200.1", "tcp4"},
	"announce-udp":  {"udp://198.19.200.2:7/announce", "198.19.200.2", "udp4"},
}

// announcer has the client's qBittorrent announce torrents, again and again.
type announcer struct{ asked atomic.Int64 }

// ask gives qBittorrent a torrent for each tracker, and has it announce them. The password is qBittorrent's own, where none is set.
func (a *announcer) ask(ctx context.Context, s *stage) error {
	var magnets []string
	for kind, t := range trackers {
		magnets = append(magnets, fmt.Sprintf("magnet:?xt=urn:btih:%x&tr=%s", sha1.Sum([]byte(kind)), t.url))
	}
	script := `api=http://127.0.0.1:8080/api/v2 jar=$(mktemp)
trap 'rm -f "$jar"' EXIT
curl -sfm 3 -c "$jar" -o /dev/null -d 'username=admin&password=adminadmin' $api/auth/login
curl -sfm 3 -b "$jar" -o /dev/null --data-urlencode urls="$0" $api/torrents/add || :
curl -sfm 3 -b "$jar" -o /dev/null -d hashes=all $api/torrents/reannounce`
	_, err := s.Lab(ctx, "exec", "--pod", s.client(), "--", "bash", "-euc", script, strings.Join(magnets, "\n"))
	if err == nil {
		a.asked.Add(1)
	}
	return err
}

// announced is what is known of qBittorrent's announces.
func (s *stage) announced() map[string]count {
	s.Helper()
	arrivals, err := s.Arrivals(s.Context(), "inet")
	require.NoError(s, err)
	out := map[string]count{}
	for kind, t := range trackers {
		seen, err := s.OnUplink(s.Context(), t.address)
		require.NoError(s, err)
		c := count{Sent: int(s.announcer.asked.Load()), Beside: seen[t.address], Arrived: map[string]int{}}
		for _, a := range arrivals {
			if a.Dst == t.address {
				c.Arrived[a.Src]++
			}
		}
		out[kind] = c
	}
	return out
}
