package hook

import "maps"

// LogTarget is where Pebble sends what services say. It does so from the container, with the pod's own routes.
type LogTarget struct {
	Override string            `yaml:"override"` // Pebble wants it: replace
	Type     string            `yaml:"type"`     // loki
	Location string            `yaml:"location"`
	Services []string          `yaml:"services"`
	Labels   map[string]string `yaml:"labels,omitempty"`
}

// LokiTarget takes what every service of a container says to a Loki.
func LokiTarget(url string, labels map[string]string) LogTarget {
	return LogTarget{Override: "replace", Type: "loki", Location: url, Services: []string{"all"}, Labels: labels}
}

// nothing is sent there any more. A plan forgets no target: it goes on naming the one that is turned off.
var nothing = []string{"-all"}

// turnedOff adds what the plan has and nobody wants any more, turned off.
func turnedOff(want, have map[string]LogTarget) map[string]LogTarget {
	out := maps.Clone(want)
	for name, t := range have {
		if _, wanted := want[name]; wanted {
			continue
		}
		if out == nil {
			out = map[string]LogTarget{}
		}
		t.Override, t.Services = "replace", nothing
		out[name] = t
	}
	return out
}
