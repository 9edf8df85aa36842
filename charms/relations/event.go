package relations

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Refusal is what whoever reads an application's databag has against it, by its own application's databag: of the interfaces
// prometheus_scrape, grafana_dashboard and loki_push_api alike. Empty: nothing. It is made fit for a status: one line, and not too long a one.
func Refusal(databag map[string]string) (string, error) {
	raw := databag["event"]
	if raw == "" {
		return "", nil
	}
	var event struct {
		Valid  *bool
		Errors json.RawMessage // a text, or for dashboards an object for each
		Scrape string          `json:"scrape_job_errors"`
	}
	if err := json.Unmarshal([]byte(raw), &event); err != nil {
		return "", fmt.Errorf("event must be an object with errors: %w", err)
	}
	all, err := refused(event.Errors)
	if err != nil {
		return "", err
	}
	if event.Scrape != "" {
		all = append(all, event.Scrape)
	}
	if all == nil && event.Valid != nil && !*event.Valid {
		all = []string{"it does not say why"}
	}
	return short(strings.Join(all, "; ")), nil
}

func refused(raw json.RawMessage) (all []string, err error) {
	var text *string
	if len(raw) == 0 || json.Unmarshal(raw, &text) == nil {
		if text != nil && *text != "" {
			all = []string{*text}
		}
		return all, nil
	}
	var each []struct {
		Dashboard string `json:"dashboard_id"`
		Error     string
	}
	if json.Unmarshal(raw, &each) != nil {
		return nil, errors.New("errors of event must be a text, or an array of objects with an error")
	}
	for _, e := range each {
		if e.Error != "" {
			all = append(all, strings.TrimPrefix(e.Dashboard+": "+e.Error, ": "))
		}
	}
	return all, nil
}

// short is somebody else's text for a status.
func short(text string) string {
	const most = 160
	words := []rune(strings.Join(strings.Fields(text), " "))
	if len(words) > most {
		return string(words[:most]) + " ..."
	}
	return string(words)
}
