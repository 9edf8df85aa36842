package hook

import (
	"errors"
	"fmt"
	"strings"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// Status is what `juju status` shows for the unit: blocked when a human must act (the message is what to do), waiting
// for someone else, maintenance while the charm is at work and will finish.
type Status struct{ Kind, Message string }

func Active(msg string) Status      { return Status{"active", msg} }
func Waiting(msg string) Status     { return Status{"waiting", msg} }
func Blocked(msg string) Status     { return Status{"blocked", msg} }
func Maintenance(msg string) Status { return Status{"maintenance", msg} }

// With adds notes to a status, whatever its kind.
func (s Status) With(notes ...string) Status {
	for _, n := range notes {
		switch {
		case n == "":
		case s.Message == "":
			s.Message = n
		default:
			s.Message += "; " + n
		}
	}
	return s
}

// A Gate is one condition for the workload to run.
type Gate struct {
	Closed bool
	Why    Status // shown while closed
}

// First returns the status of the first closed gate, or ok.
func First(gates ...Gate) (why Status, ok bool) {
	for _, g := range gates {
		if g.Closed {
			return g.Why, false
		}
	}
	return Status{}, true
}

// Leads is open for the leader: these workloads do not scale.
func Leads(u Unit) Gate {
	return Gate{!u.Leader, Waiting("standing by: only the leader runs the workload; scale back with `juju scale-application " + u.App + " 1`")}
}

// Valid is open when the configuration could be read; err is what Config returned.
func Valid(err error) Gate {
	if err == nil {
		return Gate{}
	}
	return Gate{true, Blocked(strings.ReplaceAll(err.Error(), "\n", "; "))}
}

// Laid says what an error of a plan means, if it is one: a gate, or words that take the place of the status. An image that is not proven
// shuts the gate only where what is laid differs by more: a pod that runs by the same settings goes on, with the image that it has.
func Laid(planned error) (gate Gate, instead Status) {
	var trial *vpnk8slib.TrialError
	if !errors.As(planned, &trial) {
		return Valid(planned), Status{}
	}
	why := Blocked(planned.Error())
	if trial.Why == "" {
		why = Waiting(planned.Error())
	}
	return Gate{trial.Held, why}, why
}

// Soon is the container whose Pebble brings another hook every few seconds, for what nobody tells of. What takes longer than a moment is asked
// for less often; For names it, so that another one is waited for anew.
type Soon struct{ Container, For string }

// Trying has hooks brought while an image is tried, of which nobody tells when it has ended.
func Trying(planned error, container string) Soon {
	var trial *vpnk8slib.TrialError
	if errors.As(planned, &trial) && trial.Why == "" {
		return Soon{container, "image"}
	}
	return Soon{}
}

// Unanswered has hooks brought while the Kubernetes API server does not answer: nobody tells of its coming back, nor of the operator's opening
// the way to it.
func Unanswered(err error, container string) Soon {
	if unreachable(err) && container != "" {
		return Soon{container, "answer"}
	}
	return Soon{}
}

// Up is open while the container's Pebble answers.
func Up(container string, answers bool) Gate {
	return Gate{!answers, Waiting("waiting for container " + container)}
}

// Trusted is Blocked with the command, when err says that Kubernetes forbade us something; else open.
func Trusted(u Unit, err error) Gate {
	f := forbidden(err)
	if f == nil {
		return Gate{}
	}
	told := *f
	told.App = u.App // the client knows the token, not always whose it is
	return Gate{true, Blocked(told.Error())}
}

// Admitted is Blocked, when err says that the namespace's Pod Security level or a policy of the cluster's refuses our pod; else open.
func Admitted(err error) Gate {
	var refused *vpnk8slib.AdmissionError
	if !errors.As(err, &refused) {
		return Gate{}
	}
	return Gate{true, Blocked(refused.Error())}
}

// Refused is Blocked in the API server's words, when err says that a policy or a quota refuses something of ours; else open.
func Refused(err error) Gate {
	if !vpnk8slib.Refused(err) {
		return Gate{}
	}
	return Gate{true, Blocked(strings.Join(strings.Fields(err.Error()), " "))}
}

// Reachable is Blocked when the Kubernetes API server did not answer. Nothing can then be repaired from here, and one
// cause is our own kill switch: it names the API server's addresses, and those may have moved. Whether Cilium's half of it
// is there cannot be asked now. A gateway has no kill switch, and reaches the API server's Service like any other.
func Reachable(u Unit, err error) Gate {
	if !unreachable(err) {
		return Gate{}
	}
	if u.Gateway {
		return Gate{true, Blocked("cannot reach the Kubernetes API server, and no policy of ours stands before it; see: kubectl get --raw /readyz")}
	}
	remove := func(kind string) string {
		return fmt.Sprintf("`kubectl -n %s delete %s %s`", u.Model, kind, vpnk8slib.KillSwitchName(u.App))
	}
	return Gate{true, Blocked(fmt.Sprintf("cannot reach the Kubernetes API server; if it moved, open the way with %s, with Cilium also %s (laid again at once)",
		remove("networkpolicy"), remove("ciliumnetworkpolicy")))}
}
