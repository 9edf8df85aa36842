package vpnk8slib

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// ForbiddenError is the API server's refusal for want of rights: the operator has to trust the application.
type ForbiddenError struct {
	Verb   string // read, list, apply or delete
	Object string // "NetworkPolicy qbittorrent-vpn-killswitch"
	App    string
	Err    error
}

func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("cannot %s %s: not allowed; run: %s", e.Verb, e.Object, e.Fix())
}
func (e *ForbiddenError) Unwrap() error { return e.Err }

// Fix is the command that gives the rights. An application that is not known is told as <application>.
func (e *ForbiddenError) Fix() string {
	app := e.App
	if app == "" {
		app = "<application>"
	}
	return "juju trust " + app + " --scope=cluster"
}

// refused wraps what the API server answered with what was being done.
func refused(verb, object, app string, err error) error {
	if apierrors.IsForbidden(err) {
		return &ForbiddenError{verb, object, app, err}
	}
	return fmt.Errorf("cannot %s %s: %w", verb, object, err)
}
