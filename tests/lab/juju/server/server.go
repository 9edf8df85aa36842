// Package server is the lab controller's front: TLS, logins and Juju's RPC, for the juju program and for unit agents.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	jujuerrors "github.com/juju/errors"

	"github.com/charmarr/charmarr-go/tests/lab/juju/client"
	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// Settings are what a server is made of.
type Settings struct {
	Controller *model.Controller
	// Addresses are where clients and agents are told to come: host and port. Juju's programs drop loopback addresses;
	// a name like localhost passes.
	Addresses []string
	// Charms is a folder for uploaded archives.
	Charms string
	// Trace, if set, gets a line for each call.
	Trace io.Writer
}

// Server serves one controller.
type Server struct {
	Settings
	// CACert signs the server's certificate, in PEM.
	CACert string

	http  http.Server
	trace sync.Mutex
}

// New makes a server with certificates of its own.
func New(settings Settings) (*Server, error) {
	s := &Server{Settings: settings}
	cert, ca, err := certificate()
	if err != nil {
		return nil, fmt.Errorf("cannot make the controller's certificates: %w", err)
	}
	s.CACert = ca
	s.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.http.Handler = s
	return s, nil
}

// Serve answers on a listener until Close.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.ServeTLS(l, "", "")
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("cannot serve the controller: %w", err)
}

// Close ends the server and its connections.
func (s *Server) Close(ctx context.Context) error { return s.http.Shutdown(ctx) }

// ServeHTTP routes what both kinds of clients ask.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	words := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case len(words) == 3 && words[0] == "model" && words[2] == "logsink":
		s.logsink(w, r, words[1])
	case client.ServeHTTP(w, r, s.open, s.Charms):
	case words[len(words)-1] == "api":
		uuid := ""
		if words[0] == "model" {
			uuid = words[1]
		}
		s.rpc(w, r, uuid)
	default:
		http.NotFound(w, r)
	}
}

// open is a user's connection to a model, or to the controller alone.
func (s *Server) open(uuid string) (*client.Conn, error) {
	m, err := s.model(uuid)
	if err != nil {
		return nil, err
	}
	return &client.Conn{Controller: s.Controller, Model: m, Addresses: s.Addresses, CACert: s.CACert}, nil
}

func (s *Server) model(uuid string) (m *model.Model, err error) {
	s.Controller.View(func() { m = s.Controller.Models[uuid] })
	if m == nil && uuid != "" {
		return nil, jujuerrors.NotFoundf("model %q", uuid)
	}
	return m, nil
}
