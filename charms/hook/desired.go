package hook

import (
	"io/fs"

	"github.com/charmarr/charmarr-go/charms/hook/tracing"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// Desired is what a charm wants at the end of a hook. Only what is set is touched.
type Desired struct {
	Protect   vpnk8slib.Plan               // before any workload is touched
	Workloads []Workload                   // a container that is not named is left alone
	Release   vpnk8slib.Plan               // after the workloads that are to stop have stopped
	Publish   map[string]map[string]string // endpoint, or one relation of it: our application databag there
	Units     map[string]map[string]string // a relation: this unit's databag there
	Secrets   []SecretWant                 // of this application; before Publish, which may name them
	Forget    []string                     // labels of secrets of this application that nobody is to read any more
	Ports     []int                        // TCP; nil leaves them as they are
	Again     string                       // the container whose Pebble brings another hook at once; empty: none
	Soon      Soon                         // brings other hooks, until one leaves this empty
	Status    Status
	Trace     tracing.Receiver // who is told what this hook did; zero: nobody
}

// container is one whose Pebble may bring hooks; empty where there is none.
func (d Desired) container() string {
	if len(d.Workloads) == 0 {
		return ""
	}
	return d.Workloads[0].Container
}

// Mode says what is to happen to a container's services.
type Mode int

const (
	Stopped Mode = iota // all services stopped; the layer's checks in place, because one of them may bring the next hook
	AsIs                // left as they are: what runs goes on, nothing starts; OverlayCheck in place, as with Stopped
	Running             // files and layer in place, its services running
)

func (m Mode) String() string { return [...]string{"stopped", "as is", "running"}[m] }

// Workload is what one container should run.
type Workload struct {
	Container string
	Mode      Mode
	Dirs      []Dir
	Files     []File
	Layer     Layer
}

// Dir is made when it is not there; an existing one keeps its owner and mode.
type Dir struct {
	Path            string
	Mode            fs.FileMode
	UserID, GroupID *int
}

// File is written when its content differs. Services never run on files other than those they started with: they are
// stopped before a file changes, and started again after it. What is secret goes here, with mode 0600, never in a layer.
type File struct {
	Path            string
	Content         string
	Mode            fs.FileMode
	UserID, GroupID *int
	Seed            bool // written only where there is none: from then on it belongs to the workload
}

// Layer is a Pebble layer: the part of one that charms here use.
type Layer struct {
	Services   map[string]Service   `yaml:"services,omitempty"`
	Checks     map[string]Check     `yaml:"checks,omitempty"`
	LogTargets map[string]LogTarget `yaml:"log-targets,omitempty"`
}

// Service is one Pebble service.
type Service struct {
	Summary     string            `yaml:"summary,omitempty"`
	Override    string            `yaml:"override"` // Pebble wants it: replace
	Command     string            `yaml:"command"`
	Startup     string            `yaml:"startup"` // enabled, for what is to run
	Environment map[string]string `yaml:"environment,omitempty"`
	UserID      *int              `yaml:"user-id,omitempty"`
	GroupID     *int              `yaml:"group-id,omitempty"`
	WorkingDir  string            `yaml:"working-dir,omitempty"`
	KillDelay   string            `yaml:"kill-delay,omitempty"`
	OnFailure   string            `yaml:"on-failure,omitempty"`
	// BackoffLimit is how long Pebble waits at most before it starts a service again that has ended: twice as long each time, from half a
	// second on, until it has run for that long; 30s where nothing is said.
	BackoffLimit string `yaml:"backoff-limit,omitempty"`
	// OnCheckFailure is what happens when a check has failed as often in a row as its threshold says, by its name: restart. It happens
	// once; not again before the check has succeeded.
	OnCheckFailure map[string]string `yaml:"on-check-failure,omitempty"`
}

// Check is one Pebble check. Without a level it counts for no probe of the container: a workload that is ill is to be
// shown and mended, not restarted together with Juju's agent, nor taken out of its Service.
type Check struct {
	Override  string     `yaml:"override"`
	Period    string     `yaml:"period,omitempty"`
	Timeout   string     `yaml:"timeout,omitempty"`
	Threshold int        `yaml:"threshold,omitempty"`
	HTTP      *HTTPCheck `yaml:"http,omitempty"`
	Exec      *ExecCheck `yaml:"exec,omitempty"`
}

// OverlayCheck is the name of the check that tells the charm, as pebble-check-failed and -recovered, when the route to
// the gateway goes and comes. Every consumer has one: its workload starts when the overlay is there, and nothing but this
// check says so before the next update-status.
const OverlayCheck = "overlay"

// GatewayCheck is the name of the check that tells the charm likewise when the gateway is not heard any more, or says that its tunnel is
// down, and when it is back: a gateway whose pod is gone tells nobody by the relation. It is laid where the routing method knows, and takes
// a gateway that moves for one that is there.
const GatewayCheck = "gateway"

func gatewayCheck(url string) Check {
	return Check{Override: "replace", Period: "3s", Timeout: "1s", Threshold: 2, HTTP: &HTTPCheck{URL: url}}
}

// OverlayInterface is the interface that the route to the gateway leaves by.
const OverlayInterface = "vxlan0"

// Overlay makes that check from a command in the workload's image that ends with 0 while a route leaves by OverlayInterface.
func Overlay(command string) Check {
	return Check{Override: "replace", Period: "5s", Timeout: "2s", Threshold: 1, Exec: &ExecCheck{Command: command}}
}

// HTTPCheck succeeds while a GET answers 20x.
type HTTPCheck struct {
	URL     string            `yaml:"url"`
	Headers map[string]string `yaml:"headers,omitempty"`
}

// ExecCheck succeeds while a command in the container ends with 0.
type ExecCheck struct {
	Command string `yaml:"command"`
}

// SecretWant is a secret that this application owns, found by its label.
type SecretWant struct {
	Label, Description string
	Content            map[string]string
	Relation           string // whose other application may read it; empty: nobody else
	// Again is the container whose Pebble brings another hook at once when this one has added the secret: where it is, Juju says
	// when the hook has ended. Empty: none.
	Again string
}

// ID makes the pointer that Pebble wants for a user or group.
func ID(n int) *int { return &n }
