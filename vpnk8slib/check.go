package vpnk8slib

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"strings"

	"github.com/go-playground/validator/v10"
)

var validate = newValidate()

// A DNS label as Kubernetes and Juju take it for namespaces and applications (RFC 1123).
var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// secretURI is a Juju secret's, with or without the model's UUID (core/secrets/secret.go).
var secretURI = regexp.MustCompile(`^secret:(//[0-9a-f-]{36}/)?[0-9a-z]{20}$`)

func newValidate() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		return name
	})
	// As its text, so that the rule "ip" can refuse a zone: whatever stands after % in fe80::1%zone, netip takes it.
	v.RegisterCustomTypeFunc(func(f reflect.Value) any {
		if a, ok := f.Interface().(netip.Addr); ok && a.IsValid() {
			return a.String()
		}
		return ""
	}, netip.Addr{})
	v.RegisterCustomTypeFunc(func(f reflect.Value) any {
		if a, ok := f.Interface().(netip.AddrPort); ok && a.IsValid() && a.Port() != 0 {
			return a.Addr().String()
		}
		return ""
	}, netip.AddrPort{})
	err := v.RegisterValidation("label", func(f validator.FieldLevel) bool { return label.MatchString(f.Field().String()) })
	err = errors.Join(err, v.RegisterValidation("secret", func(f validator.FieldLevel) bool { return secretURI.MatchString(f.Field().String()) }))
	if err != nil {
		panic(err) // a wrong tag in this file
	}
	return v
}

// check says what is wrong with v in words fit for a unit's status: field by field, by the names on the wire.
func check(v any) error {
	err := validate.Struct(v)
	var fields validator.ValidationErrors
	if !errors.As(err, &fields) {
		return err
	}
	var msgs []string
	for _, f := range fields {
		msgs = append(msgs, phrase(f))
	}
	return errors.New(strings.Join(msgs, "; "))
}

func phrase(f validator.FieldError) string {
	_, field, _ := strings.Cut(f.Namespace(), ".") // without the name of the type
	switch f.Tag() {
	case "required":
		return field + " is required"
	case "min":
		if f.Kind() == reflect.Slice {
			return field + " is required"
		}
		return fmt.Sprintf("%s must be at least %s", field, f.Param())
	case "max":
		return fmt.Sprintf("%s must be at most %s", field, f.Param())
	case "ne":
		return fmt.Sprintf("%s must not be %s", field, f.Param())
	case "ip":
		return field + " must be an IP address without a zone, such as 10.152.183.10"
	case "fqdn":
		return field + " must be a full DNS name such as gluetun-0.gluetun-endpoints.downloads.svc.cluster.local"
	case "secret":
		return field + " is not the URI of a Juju secret"
	case "label":
		return field + " must be a name of lower-case letters, digits and hyphens"
	default:
		return fmt.Sprintf("%s is not a valid %s", field, f.Tag())
	}
}
