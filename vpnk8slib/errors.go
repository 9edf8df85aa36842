package vpnk8slib

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// application stands in a command for the application that is told it, until that is known.
const application = "<application>"

// toldError is an error of which the commands name the application that it is told to.
type toldError struct {
	error
	app string
}

func (e toldError) Error() string { return strings.ReplaceAll(e.error.Error(), application, e.app) }
func (e toldError) Unwrap() error { return e.error }

// told completes err with who is told it. A refusal is completed itself: the client knows the token, not always whose it is.
func told(err error, app string) error {
	var f *ForbiddenError
	switch {
	case err == nil || app == "":
		return err
	case errors.As(err, &f):
		f.App = cmp.Or(f.App, app)
		return err
	case strings.Contains(err.Error(), application):
		return toldError{err, app}
	default:
		return err
	}
}

// ForbiddenError is the API server's refusal for want of rights: the operator has to trust the application.
type ForbiddenError struct {
	Verb   string // read, list, try, apply or delete
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
	return "juju trust " + cmp.Or(e.App, application) + " --scope=cluster"
}

// The authorizer's words (Kubernetes, apiserver/pkg/endpoints/handlers/responsewriters/errors.go). Admission forbids as well,
// in others: a webhook, a quota, a namespace that is on its way out. Trust would not change those.
var noRight = regexp.MustCompile(`User "[^"]*" cannot `)

// What policies say, a webhook's or the API server's own (Kubernetes, apiserver/pkg/admission/plugin/webhook/errors/statuserror.go and
// plugin/policy/*/*dispatcher.go). The status' code is theirs to choose: 400 of a webhook that says none, 422 of a ValidatingAdmissionPolicy.
var denied = regexp.MustCompile(`(?s)(admission webhook "[^"]*" denied the request|\w*[Pp]olicy ['"][^'"]*['"]( with binding '[^']*')? denied request: ).*`)

// Refused says whether the API server will not have what it was asked for, whoever asks: a policy, a quota, a namespace on its way out. Asking
// again changes nothing until somebody changes those.
func Refused(err error) bool {
	var answer apierrors.APIStatus
	var right *ForbiddenError
	return errors.As(err, &answer) && !errors.As(err, &right) && (apierrors.IsForbidden(err) || denied.MatchString(err.Error()))
}

// refused wraps what the API server answered with what was being done.
func refused(verb, object, app string, err error) error {
	if apierrors.IsForbidden(err) && noRight.MatchString(err.Error()) {
		return &ForbiddenError{verb, object, app, err}
	}
	return fmt.Errorf("cannot %s %s: %w", verb, object, err)
}
