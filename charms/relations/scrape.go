package relations

import (
	"fmt"
	"maps"
	"strings"

	"gopkg.in/yaml.v3"
)

// Scrape is the interface prometheus_scrape, from the side that is scraped (prometheus_scrape v0).
type Scrape struct {
	Topology Topology
	Port     int    // of every unit
	Rules    string // alert rules, a YAML file of Prometheus with Matchers where an expression chooses series
}

// Matchers stands in alert rules for what chooses this application's series, as in the files of other charms.
const Matchers = "%%juju_topology%%"

type scrapeJob struct {
	Path    string          `json:"metrics_path"`
	Configs []scrapeTargets `json:"static_configs"`
}

type scrapeTargets struct {
	Targets []string `json:"targets"`
}

// Rules are groups of alert rules.
type Rules struct {
	Groups []RuleGroup `json:"groups"`
}

// RuleGroup is one.
type RuleGroup struct {
	Name  string `json:"name"`
	Rules []Rule `json:"rules"`
}

// Rule is an alert.
type Rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty" yaml:"for,omitempty"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// AlertRules are the rules about this application and no other, named so that no other's groups are called like them.
func (s Scrape) AlertRules() (out Rules, err error) {
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(s.Rules, Matchers, s.Topology.matchers())), &out); err != nil {
		return out, fmt.Errorf("cannot read the alert rules: %w", err)
	}
	id, _, _ := strings.Cut(s.Topology.ModelUUID, "-")
	for i, g := range out.Groups {
		out.Groups[i].Name = fmt.Sprintf("%s_%s_%s_%s_alerts", s.Topology.Model, id, s.Topology.App, g.Name)
		for j, r := range g.Rules {
			labels := s.Topology.Labels()
			maps.Copy(labels, r.Labels)
			out.Groups[i].Rules[j].Labels = labels
		}
	}
	return out, nil
}

// Application is the application's databag.
func (s Scrape) Application() (map[string]string, error) {
	rules, err := s.AlertRules()
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for key, v := range map[string]any{
		"scrape_jobs":     []scrapeJob{{"/metrics", []scrapeTargets{{[]string{fmt.Sprintf("*:%d", s.Port)}}}}},
		"scrape_metadata": s.Topology, "alert_rules": rules,
	} {
		if out[key], err = text(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Unit is the unit's databag: the address on which it is asked, and its name in DNS where that is known. There is a path too, before
// that of the job, which is not needed here.
func (s Scrape) Unit(address, name string) map[string]string {
	return map[string]string{
		"prometheus_scrape_unit_address": address, "prometheus_scrape_unit_name": s.Topology.Unit, "prometheus_scrape_unit_fqdn": name,
	}
}

// Withdrawn is a databag in whose keys nothing is said any more: nobody listens where they led.
func Withdrawn(databag map[string]string) map[string]string {
	out := map[string]string{}
	for key := range databag {
		out[key] = ""
	}
	return out
}
