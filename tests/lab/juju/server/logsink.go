package server

import (
	"net/http"

	"github.com/juju/juju/rpc/params"

	"github.com/charmarr/charmarr-go/tests/lab/juju/agent"
)

// logsink takes an agent's log, for debug-log.
func (s *Server) logsink(w http.ResponseWriter, r *http.Request, uuid string) {
	m, err := s.model(uuid)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	tag, password, _ := r.BasicAuth()
	if _, err := agent.Open(s.Controller, m, tag, password); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	socket, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader has answered
	}
	defer socket.Close()
	if err := socket.WriteJSON(params.ErrorResult{}); err != nil {
		return
	}
	for {
		var record params.LogRecord
		if err := socket.ReadJSON(&record); err != nil {
			return
		}
		s.Controller.Log(m, params.LogMessage{
			Entity: tag, Timestamp: record.Time, Severity: record.Level, Module: record.Module, Location: record.Location, Message: record.Message,
		})
	}
}
