package client

import (
	"encoding/json"
	"net/http"
	"strings"

	apiservererrors "github.com/juju/juju/apiserver/errors"
	"github.com/juju/juju/rpc/params"
)

// ServeHTTP serves the requests of the juju program that are not calls of facades, and the agents' for charms. It
// leaves alone, and says so with false, what is none of them. open connects to a model; charms is where archives go.
func ServeHTTP(w http.ResponseWriter, r *http.Request, open func(uuid string) (*Conn, error), charms string) bool {
	words := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	uuid, object := strings.CutPrefix(words[0], "model-")
	var serve func(*Conn)
	switch {
	case object && len(words) == 3 && words[1] == "charms" && r.Method == http.MethodPut:
		serve = func(c *Conn) { c.uploadCharm(w, r, charms) }
	case object && len(words) == 3 && words[1] == "charms" && r.Method == http.MethodGet:
		serve = func(c *Conn) { c.downloadCharm(w, r) }
	case words[0] == "model" && len(words) == 6 && words[2] == "applications" && words[4] == "resources" && r.Method == http.MethodPut:
		uuid, serve = words[1], func(c *Conn) { c.uploadResource(w, r, words[3], words[5]) }
	case words[0] == "model" && len(words) == 3 && words[2] == "log":
		uuid, serve = words[1], func(c *Conn) { c.serveLog(w, r) }
	default:
		return false
	}
	c, err := open(uuid)
	if err != nil {
		httpError(w, err)
		return true
	}
	serve(c)
	return true
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever asked has gone: nobody is left to tell
}

// httpError answers in the form that both the charm and the resource clients read.
func httpError(w http.ResponseWriter, err error) {
	text, status := apiservererrors.ServerErrorAndStatus(err)
	writeJSON(w, status, params.ErrorResult{Error: text})
}
