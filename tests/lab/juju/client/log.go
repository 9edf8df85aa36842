package client

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"github.com/juju/juju/rpc/params"
	"github.com/juju/loggo"
)

// logFilter is what a user asks of debug-log.
type logFilter struct {
	include, exclude             []string
	includeModule, excludeModule []string
	level                        loggo.Level
	since                        time.Time
	backlog, limit               int
	replay, noTail               bool
}

func readLogFilter(q url.Values) logFilter {
	f := logFilter{
		include: q["includeEntity"], exclude: q["excludeEntity"],
		includeModule: q["includeModule"], excludeModule: q["excludeModule"],
		replay: q.Get("replay") == "true", noTail: q.Get("noTail") == "true",
	}
	f.backlog, _ = strconv.Atoi(q.Get("backlog"))
	f.limit, _ = strconv.Atoi(q.Get("maxLines"))
	f.level, _ = loggo.ParseLevel(q.Get("level"))
	f.since, _ = time.Parse(time.RFC3339Nano, q.Get("startTime"))
	return f
}

func (f logFilter) shows(m params.LogMessage) bool {
	if level, ok := loggo.ParseLevel(m.Severity); ok && level < f.level {
		return false
	}
	switch {
	case m.Timestamp.Before(f.since):
		return false
	case len(f.include) > 0 && !anyEntity(f.include, m.Entity), anyEntity(f.exclude, m.Entity):
		return false
	case len(f.includeModule) > 0 && !anyModule(f.includeModule, m.Module), anyModule(f.excludeModule, m.Module):
		return false
	}
	return true
}

func anyEntity(patterns []string, entity string) bool {
	for _, p := range patterns {
		if prefix, star := strings.CutSuffix(p, "*"); p == entity || (star && strings.HasPrefix(entity, prefix)) {
			return true
		}
	}
	return false
}

func anyModule(patterns []string, module string) bool {
	for _, p := range patterns {
		if module == p || strings.HasPrefix(module, p+".") {
			return true
		}
	}
	return false
}

// serveLog streams the model's log to "juju debug-log": GET /model/<uuid>/log as a websocket.
func (c *Conn) serveLog(w http.ResponseWriter, r *http.Request) {
	filter := readLogFilter(r.URL.Query())
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	socket, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader has answered
	}
	defer socket.Close()
	if err := socket.WriteJSON(params.ErrorResult{}); err != nil {
		return
	}
	gone := make(chan struct{})
	go func() { // a client says nothing more; reading notices that it has left
		defer close(gone)
		for {
			if _, _, err := socket.ReadMessage(); err != nil {
				return
			}
		}
	}()
	sent, next := 0, -1 // next counts from the model's first line
	for {
		var fresh []params.LogMessage
		wake := c.Controller.ViewLogs(func() {
			all, dropped := c.Model.Logs, c.Model.LogsDropped
			if next < 0 {
				next = dropped + firstLine(all, filter)
			}
			fresh = append(fresh, all[max(0, next-dropped):]...)
			next = dropped + len(all)
		})
		for _, m := range fresh {
			if !filter.shows(m) {
				continue
			}
			if err := socket.WriteJSON(m); err != nil {
				return
			}
			if sent++; filter.limit > 0 && sent >= filter.limit {
				return
			}
		}
		if filter.noTail {
			return
		}
		select {
		case <-wake:
		case <-gone:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// firstLine is where a log is read from: the beginning, or as far back as was asked.
func firstLine(all []params.LogMessage, f logFilter) int {
	if f.replay || !f.since.IsZero() || f.backlog >= len(all) {
		return 0
	}
	return len(all) - f.backlog
}
