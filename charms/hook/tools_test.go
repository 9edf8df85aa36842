package hook

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	pebble "github.com/canonical/pebble/internals/cli"
	"github.com/gruyaume/goops"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
)

// The hook tools are functions of this test binary, put on PATH under their own names, over one file. They print what
// Juju's print and refuse what Juju's refuse, at once or when the hook ends. Pebble is the real one.
func TestMain(m *testing.M) {
	commands := map[string]func(){"pebble": func() {
		if err := pebble.Run(nil); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}}
	for name := range tools {
		commands[name] = func() { runTool(name) }
	}
	testscript.Main(m, commands)
}

// model is what the tools know. Everything that a tool was asked is in Calls.
type model struct {
	Leader    bool
	App       string
	Config    map[string]any
	Relations map[string]*relation
	Secrets   map[string]*secret // by URI
	Ports     []string
	Status    []string
	Params    map[string]any
	Results   map[string]string
	Log       []string
	Calls     []string
	Words     []string // of all of them
	FailAt    int      // the step of the trace that fails, if it is a tool: it does nothing then
	Refused   string   // why Juju will refuse all of it when the hook ends
}

type relation struct {
	App           string
	Remote, Local map[string]string
	Units         map[string]map[string]string // what units of the other application say
	Own           map[string]string            // what this unit says
}

type secret struct {
	Label   string // of one that this application owns
	Content map[string]string
	Granted bool
	To      string // the relation that it is granted in
	Pending bool   // added in this hook: nothing is kept before it ends
}

var tools = map[string]func(m *model, args []string) (any, error){
	"is-leader":     func(m *model, _ []string) (any, error) { return m.Leader, nil },
	"config-get":    configGet,
	"relation-ids":  relationIDsTool,
	"relation-list": relationList,
	"relation-get":  relationGet,
	"relation-set":  relationSet,
	"secret-get":    secretGet,
	"secret-add":    secretAdd,
	"secret-set":    secretSet,
	"secret-info-get": func(m *model, a []string) (any, error) {
		uri, s, err := m.secret(a)
		if err != nil {
			return nil, err
		}
		if s.Label == "" || !m.Leader {
			return nil, fmt.Errorf("secret %q not found", a[0]) // it tells of those that this unit may change
		}
		return map[string]any{strings.TrimPrefix(uri, "secret:"): struct {
			Revision int    `json:"revision"`
			Label    string `json:"label"`
			Owner    string `json:"owner"`
		}{1, s.Label, "application"}}, nil
	},
	"secret-remove": func(m *model, a []string) (any, error) {
		uri, s, err := m.secret(a)
		if err == nil && (s.Label == "" || !m.Leader) {
			err = errNotLeader
		}
		delete(m.Secrets, uri)
		return nil, err
	},
	"secret-grant": func(m *model, a []string) (any, error) {
		_, s, err := m.secret(a)
		if err != nil {
			return nil, err
		}
		s.To = strings.TrimPrefix(a[1], "--relation=")
		return nil, nil
	},
	"opened-ports": func(m *model, _ []string) (any, error) { return append([]string{}, m.Ports...), nil },
	"open-port": func(m *model, a []string) (any, error) {
		if !slices.Contains(m.Ports, a[0]) {
			m.Ports = append(m.Ports, a[0])
		}
		return nil, nil
	},
	"close-port": func(m *model, a []string) (any, error) {
		m.Ports = slices.DeleteFunc(m.Ports, func(p string) bool { return p == a[0] })
		return nil, nil
	},
	"status-set": func(m *model, a []string) (any, error) {
		if a[0] == "--application" {
			a = a[1:]
		}
		if len(a) > 2 {
			return nil, fmt.Errorf("unrecognized args: %q", a[2:])
		}
		if !slices.Contains([]string{"active", "waiting", "blocked", "maintenance"}, a[0]) {
			return nil, fmt.Errorf("invalid status %q, expected one of [maintenance blocked waiting active]", a[0])
		}
		m.Status = a
		return nil, nil
	},
	"juju-log": func(m *model, a []string) (any, error) { m.Log = append(m.Log, strings.Join(a, " ")); return nil, nil },
	"action-get": func(m *model, _ []string) (any, error) {
		if m.Params == nil {
			return map[string]any{}, nil
		}
		return m.Params, nil
	},
	"action-set": func(m *model, a []string) (any, error) {
		for key := range pairs(a) {
			for _, part := range strings.Split(key, ".") {
				if !resultKey.MatchString(part) {
					return nil, fmt.Errorf("key %q must start and end with lowercase alphanumeric, and contain only lowercase alphanumeric, hyphens and periods", part)
				}
			}
		}
		m.Results = pairs(a)
		return nil, nil
	},
}

var (
	resultKey = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	secretKey = regexp.MustCompile(`^[a-z](-?[a-z0-9]){2,}$`)
)

func configGet(m *model, a []string) (any, error) {
	if a[0] != "--all" {
		if _, ok := m.Config[a[0]]; !ok {
			return nil, fmt.Errorf("unknown option %q", a[0])
		}
	}
	return m.Config, nil
}

func relationIDsTool(m *model, a []string) (any, error) {
	ids := []string{}
	for id := range m.Relations {
		if strings.HasPrefix(id, a[0]+":") {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (m *model) relation(a []string) (*relation, error) {
	id := strings.TrimPrefix(a[0], "-r=")
	r, ok := m.Relations[id]
	if !ok {
		return nil, fmt.Errorf("invalid value %q for option -r: relation not found", id)
	}
	return r, nil
}

func relationList(m *model, a []string) (any, error) {
	r, err := m.relation(a)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(a, "--app") {
		return slices.Sorted(maps.Keys(r.Units)), nil
	}
	return r.App, nil
}

func relationGet(m *model, a []string) (any, error) {
	r, err := m.relation(a)
	if err != nil {
		return nil, err
	}
	said, ofUnit := r.Units[a[2]]
	switch {
	case a[1] != "-" || !ofUnit && a[3] != "--app":
		return nil, fmt.Errorf("unexpected args: %q", a)
	case ofUnit:
		return said, nil
	case a[2] == r.App:
		return r.Remote, nil
	case a[2] == m.App && m.Leader:
		return r.Local, nil
	default:
		return nil, errors.New("permission denied")
	}
}

func relationSet(m *model, a []string) (any, error) {
	r, err := m.relation(a)
	if err != nil {
		return nil, err
	}
	if a[1] != "--app" { // a unit's own, which every unit may write
		r.Own = pairs(a[1:])
		return nil, nil
	}
	if !m.Leader {
		return nil, errors.New("cannot write relation settings")
	}
	if r.Local == nil {
		r.Local = map[string]string{}
	}
	for k, v := range pairs(a[2:]) {
		r.Local[k] = v
		if v == "" {
			delete(r.Local, k)
		}
	}
	return nil, nil
}

func (m *model) secret(a []string) (string, *secret, error) {
	if label, ok := strings.CutPrefix(a[0], "--label="); ok {
		for uri, s := range m.Secrets {
			if s.Label == label {
				return uri, s, nil
			}
		}
		return "", nil, fmt.Errorf("consumer label %q not found", label)
	}
	uri := "secret:" + strings.TrimPrefix(a[0], "secret:")
	if strings.ContainsAny(uri, " \n") {
		return "", nil, fmt.Errorf("secret URI %q not valid", uri)
	}
	s, ok := m.Secrets[uri]
	if !ok {
		return "", nil, fmt.Errorf("secret %q not found", uri)
	}
	return uri, s, nil
}

func secretGet(m *model, a []string) (any, error) {
	_, s, err := m.secret(a)
	if err != nil {
		return nil, err
	}
	if s.Label == "" && !s.Granted {
		return nil, errors.New("permission denied")
	}
	return s.Content, nil
}

var errNotLeader = errors.New("this unit is not the leader")

// secretAdd finds a label that a secret of this hook has, and no other: that is refused when the hook ends.
func secretAdd(m *model, a []string) (any, error) {
	s := &secret{Pending: true}
	for _, arg := range a {
		if label, ok := strings.CutPrefix(arg, "--label="); ok {
			s.Label = label
		}
	}
	var err error
	if s.Content, err = secretContent(a); err != nil {
		return nil, err
	}
	if !m.Leader {
		return nil, errNotLeader
	}
	for _, other := range m.Secrets {
		if s.Label == "" || other.Label != s.Label {
			continue
		}
		taken := fmt.Errorf("secret with label %q already exists", s.Label)
		if other.Pending {
			return nil, taken
		}
		m.Refused = taken.Error()
	}
	if m.Secrets == nil {
		m.Secrets = map[string]*secret{}
	}
	uri := fmt.Sprintf("secret:%d", len(m.Secrets)+1)
	m.Secrets[uri] = s
	return uri, nil
}

func secretSet(m *model, a []string) (any, error) {
	_, s, err := m.secret(a)
	if err != nil {
		return nil, err
	}
	content, err := secretContent(a[1:])
	if err != nil {
		return nil, err
	}
	if s.Label == "" {
		m.Refused = "permission denied"
	} else if !m.Leader {
		return nil, errNotLeader
	}
	s.Content = content
	return nil, nil
}

func secretContent(args []string) (map[string]string, error) {
	content := pairs(slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return strings.HasPrefix(arg, "--") }))
	for key, value := range content {
		if name, ok := strings.CutSuffix(key, "#file"); ok {
			text, err := os.ReadFile(value)
			if err != nil {
				return nil, err
			}
			delete(content, key)
			key, value = name, string(text)
			content[key] = value
		}
		if value == "" {
			return nil, fmt.Errorf("key value %q not valid", key+"=")
		}
		if !secretKey.MatchString(key) {
			return nil, fmt.Errorf("key %q not valid", key)
		}
	}
	return content, nil
}

func pairs(args []string) map[string]string {
	out := map[string]string{}
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		out[k] = v
	}
	return out
}

func runTool(name string) {
	out, err := callTool(name, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "ERROR", err)
		os.Exit(1)
	}
	_, _ = os.Stdout.Write(out)
}

func callTool(name string, args []string) ([]byte, error) {
	m := readModel(os.Getenv("TEST_MODEL"))
	m.Calls, m.Words = append(m.Calls, name), append(m.Words, args...)
	var out any
	var err error
	if step := trace(name); step > 0 && step == m.FailAt {
		err = errors.New("broken on purpose")
	} else {
		out, err = tools[name](m, args)
	}
	writeModel(os.Getenv("TEST_MODEL"), m)
	switch {
	case err != nil || out == nil:
		return nil, err
	case name == "secret-add":
		return fmt.Appendln(nil, out), nil // the one tool that is not asked for JSON
	}
	data, err := json.Marshal(out)
	return append(data, '\n'), err
}

// inside has the tools called in this process, for tests of many hooks: most of their time would be the starting of
// processes.
type inside struct{}

func (inside) Run(name string, args ...string) ([]byte, error) {
	out, err := callTool(name, args)
	if err != nil {
		return nil, fmt.Errorf("command %s failed: ERROR %w", name, err)
	}
	return out, nil
}

func toolsInside(t *testing.T) {
	t.Helper()
	outside := goops.GetCommandRunner()
	goops.SetCommandRunner(inside{})
	t.Cleanup(func() { goops.SetCommandRunner(outside) })
}

func readModel(path string) *model {
	var m model
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return &m
}

func writeModel(path string, m *model) {
	data, err := json.Marshal(m)
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// trace adds to one list of everything that a test saw happen, of hook tools, cluster and Pebble, in order. It returns
// which step that was, from 1 on. What a hook logs is no step.
func trace(what string) int {
	path := os.Getenv("TEST_TRACE")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 0 // a test that looks at no order
	}
	fmt.Fprintln(f, what)
	_ = f.Close()
	if what == "juju-log" {
		return 0
	}
	return len(steps(path))
}

func steps(path string) []string {
	data, _ := os.ReadFile(path) // nothing has happened yet
	return slices.DeleteFunc(strings.Fields(string(data)), func(s string) bool { return s == "juju-log" })
}

// done are the steps of a test so far.
func done() []string { return steps(os.Getenv("TEST_TRACE")) }

// juju sets up a model and a hook in it, and returns how to end the hook and see the model afterwards.
func juju(t *testing.T, m model, event string) func() *model {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "model.json")
	if m.App == "" {
		m.App = "qbittorrent"
	}
	writeModel(path, &m)
	for k, v := range map[string]string{
		"TEST_MODEL": path, "TEST_TRACE": filepath.Join(dir, "trace"), "JUJU_UNIT_NAME": m.App + "/0", "JUJU_MODEL_NAME": "downloads",
		"JUJU_HOOK_NAME": event, "JUJU_CHARM_DIR": dir, "JUJU_ACTION_NAME": "", "JUJU_RELATION_ID": "",
		"JUJU_API_ADDRESSES": "10.44.0.1:17070 controller.example:17070 [fd44::1]:17070",
	} {
		t.Setenv(k, v)
	}
	return func() *model {
		m := readModel(path)
		assert.Empty(t, m.Refused, "Juju refuses at its end all that the hook did")
		for _, s := range m.Secrets {
			s.Pending = false
		}
		writeModel(path, m)
		return m
	}
}
