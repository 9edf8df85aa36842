package hook

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/go-playground/validator/v10"
)

// values are options or parameters as a hook tool printed them, by name.
type values map[string]json.RawMessage

// An OptionError says what is wrong with one option or parameter, and what would be right.
type OptionError struct {
	Kind    string // "option" or "parameter"
	Name    string
	Value   string
	Fix     string
	Example string // a value that would do: of its rule, or of the field's tag `example`
	App     string // whose option it is
	With    string // what else it has to go with, as OPTION=VALUE; empty: nothing
}

// Error ends with the command that mends an option. A parameter needs none: its command has just been typed.
func (e *OptionError) Error() string {
	with := ""
	if e.With != "" {
		with = " with " + e.With
	}
	text := fmt.Sprintf("cannot use %s %s=%q%s: %s", e.Kind, e.Name, e.Value, with, e.Fix)
	if e.Kind != option {
		return text
	}
	return fmt.Sprintf("%s: juju config %s %s=%s", text, cmp.Or(e.App, "<application>"), e.Name, cmp.Or(e.Example, "..."))
}

const option = "option"

// Refusals are the options that err, which Config returned, is about.
func Refusals(err error) (out []*OptionError) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, Refusals(e)...)
		}
		return out
	}
	var wrong *OptionError
	if errors.As(err, &wrong) {
		out = append(out, wrong)
	}
	return out
}

// Config reads the application's options into T, whose `json` tags are the options' names and whose `validate` tags say
// what is allowed; `example` tells a value for whatever no rule tells one of. An *OptionError is the operator's to mend: Blocked,
// with T as far as it could be read, every refused option at its zero value. Any other error is Juju's.
func Config[T any]() (T, error) {
	v, err := rawConfig()
	if err != nil {
		var none T
		return none, fmt.Errorf("cannot read the configuration: %w", err)
	}
	return decode[T](option, environment().App, v)
}

// Params are an action's parameters.
type Params struct{ values values }

// ReadParams decodes and checks an action's parameters as Config does the options.
func ReadParams[T any](p Params) (T, error) { return decode[T]("parameter", "", p.values) }

func decode[T any](kind, app string, v values) (out T, _ error) {
	var errs []error
	refused := map[string]bool{}
	refuse := func(name, fix, example string) {
		if !refused[name] { // what could not be read breaks a rule as well: one sentence is enough
			refused[name] = true
			errs = append(errs, &OptionError{Kind: kind, Name: name, Value: plain(v[name]), Fix: fix, Example: cmp.Or(example, Example[T](name)), App: app})
		}
	}
	target := reflect.ValueOf(&out).Elem()
	for _, f := range reflect.VisibleFields(target.Type()) {
		name := optionName(f)
		raw, ok := v[name]
		if name == "" || !ok || bytes.Equal(raw, []byte("null")) {
			continue
		}
		field := target.FieldByIndex(f.Index)
		if err := json.Unmarshal(raw, field.Addr().Interface()); err != nil {
			field.SetZero() // half of it may be there
			refuse(name, why(err), "")
		}
	}
	var invalid validator.ValidationErrors
	if err := check.Struct(out); errors.As(err, &invalid) {
		for _, e := range invalid {
			says, example := fix(e)
			refuse(e.Field(), says, example)
			field := reflect.Indirect(target).FieldByName(e.StructField())
			if field.CanSet() {
				field.SetZero()
			}
		}
	} else if err != nil {
		return out, fmt.Errorf("cannot check the %ss: %w", kind, err)
	}
	return out, errors.Join(errs...)
}

// Example is a value that an option of T could have, as its tag tells it; empty where it tells none.
func Example[T any](option string) string {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		if optionName(f) == option {
			return f.Tag.Get("example")
		}
	}
	return ""
}

// optionName is the option that a field holds; empty for none.
func optionName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func plain(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// why leaves out Go's words around a value that is of the wrong type.
func why(err error) string {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		kind := wrong.Type.Kind().String()
		if wrong.Type.Kind() == reflect.Int {
			kind = "number"
		}
		return fmt.Sprintf("set a %s, not a %s", kind, wrong.Value)
	}
	return err.Error()
}

var (
	check = newCheck()

	// An image reference as Kubernetes takes it: [registry[:port]/]path[:tag][@sha256:digest].
	imageRef = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$`)
	// A name of the time zone database: Etc/UTC, Europe/Berlin, America/Argentina/Buenos_Aires, UTC.
	zoneName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$`)
)

func newCheck() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(optionName)
	for tag, re := range map[string]*regexp.Regexp{"image": imageRef, "zone": zoneName} {
		err := v.RegisterValidation(tag, func(f validator.FieldLevel) bool { return re.MatchString(f.Field().String()) })
		if err != nil {
			panic(err) // a wrong tag in this file
		}
	}
	return v
}

// fix says what a broken rule wants, and a value that keeps it where there is one for everybody.
func fix(e validator.FieldError) (says, example string) {
	list := e.Kind() == reflect.Slice
	switch e.Tag() {
	case "required":
		return "it must be set", ""
	case "min", "gte":
		if list {
			return "set at least " + e.Param(), ""
		}
		return "the smallest allowed is " + e.Param(), e.Param()
	case "max", "lte":
		if list {
			return "set at most " + e.Param(), ""
		}
		return "the largest allowed is " + e.Param(), e.Param()
	case "oneof":
		return "set one of " + strings.ReplaceAll(e.Param(), " ", ", "), "<" + strings.ReplaceAll(e.Param(), " ", "|") + ">"
	case "image":
		return "set an image reference such as ghcr.io/owner/name:tag", ""
	case "zone":
		return "set a time zone such as Etc/UTC or Europe/Berlin", "Etc/UTC"
	case "url", "http_url":
		return "set a URL such as http://203.0.113.1/", ""
	case "hostname_port":
		return "set a host and its port such as stun.example.org:3478", ""
	case "hostname_rfc1123", "fqdn":
		return "set a host name such as example.org", ""
	case "ip":
		return "set an IP address", ""
	case "base64":
		return "set a base64 text", ""
	default:
		return strings.TrimSpace("it must be " + e.Tag() + " " + e.Param()), ""
	}
}
