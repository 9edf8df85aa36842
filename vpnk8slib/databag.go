package vpnk8slib

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// databagKey is the one key of each side's application databag; its value is a JSON object. charmarr-lib-vpn 0.5 reads and
// writes the same.
const databagKey = "config"

// databagLimit bounds what is read at all, in bytes: our own data is under one KiB.
const databagLimit = 64 << 10

// Errors that say how far a vpn-gateway relation has come. Each leads to something else, and only ErrNotRelated may ever
// lead to an open pod.
var (
	ErrNotRelated = errors.New("no vpn-gateway relation")
	ErrNotReady   = errors.New("the gateway has not published its data")
)

// InvalidError is about data that is there and cannot be used: unreadable, refused, or newer than this library.
type InvalidError struct {
	From string // who published it
	Err  error
}

// longest is how much of what is wrong is told, in letters.
const longest = 400

func (e *InvalidError) Error() string {
	text := []rune(e.Err.Error())
	if len(text) > longest { // it repeats what somebody else has written
		text = append(text[:longest], []rune(" ...")...)
	}
	return fmt.Sprintf("cannot use vpn-gateway data from %s: %s", e.From, string(text))
}
func (e *InvalidError) Unwrap() error { return e.Err }

// decode reads a databag over the defaults that into holds, and checks it. Fields that it does not know are newer than
// this library and are left alone.
func decode(from string, databag map[string]string, into any) error {
	raw, ok := databag[databagKey]
	switch {
	case !ok || raw == "":
		return ErrNotReady
	case len(raw) > databagLimit:
		return &InvalidError{from, fmt.Errorf("it is %d bytes long, and at most %d are read", len(raw), databagLimit)}
	}
	if err := json.Unmarshal([]byte(raw), into); err != nil {
		return &InvalidError{from, plainly(raw, into, err)}
	}
	if err := check(into); err != nil {
		return &InvalidError{from, err}
	}
	return nil
}

// plainly leaves Go's words for types out, and names the field. It may write into the value, which is of no use any more.
func plainly(raw string, into any, err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		field := strings.TrimPrefix(wrong.Field, "plain.") // the name of a type on the way
		return fmt.Errorf("%s must not be of the type %s", cmp.Or(field, "it"), wrong.Value)
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return errors.New("it is not JSON")
	}
	// A type that reads itself does not know which field it is: each field on its own tells.
	var fields map[string]json.RawMessage
	_ = json.Unmarshal([]byte(raw), &fields) // it was an object, or the error would have been one of those above
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		one, _ := json.Marshal(map[string]json.RawMessage{name: fields[name]}) // taken from valid JSON
		if err := json.Unmarshal(one, into); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return err
}

func encode(v any) (map[string]string, error) {
	if err := check(v); err != nil {
		return nil, err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return map[string]string{databagKey: string(b)}, nil
}
