package hook

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	pebble "github.com/canonical/pebble/internals/cli"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

// The hook tools are functions of this test binary, put on PATH under their own names, over one file. They print what
// Juju's print and refuse what Juju's refuse. Pebble is the real one.
func TestMain(m *testing.M) {
	commands := map[string]func(){"pebble": func() {
		if err := pebble.Run(nil); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}}
	for name, tool := range tools {
		commands[name] = func() { runTool(name, tool) }
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
	Failed    string
	Log       []string
	Calls     []string
	Broken    string // the tool that fails, whatever it is asked
}

type relation struct {
	App           string
	Remote, Local map[string]string
}

type secret struct {
	Label   string
	Content map[string]string
	Granted bool
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
		return map[string]any{strings.TrimPrefix(uri, "secret:"): map[string]any{"label": s.Label, "revision": 1}}, nil
	},
	"opened-ports": func(m *model, _ []string) (any, error) { return append([]string{}, m.Ports...), nil },
	"open-port":    func(m *model, a []string) (any, error) { m.Ports = append(m.Ports, a[0]); return nil, nil },
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
	"juju-log":   func(m *model, a []string) (any, error) { m.Log = append(m.Log, strings.Join(a, " ")); return nil, nil },
	"action-get": func(m *model, _ []string) (any, error) { return m.Params, nil },
	"action-set": func(m *model, a []string) (any, error) {
		m.Results = pairs(a)
		return nil, nil
	},
	"action-fail": func(m *model, a []string) (any, error) {
		if len(a) != 1 {
			return nil, fmt.Errorf("unrecognized args: %q", a[1:])
		}
		m.Failed = a[0]
		return nil, nil
	},
}

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
	return r.App, nil
}

func relationGet(m *model, a []string) (any, error) {
	r, err := m.relation(a)
	if err != nil {
		return nil, err
	}
	switch {
	case a[1] != "-" || a[3] != "--app":
		return nil, fmt.Errorf("unexpected args: %q", a)
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
	if a[1] != "--app" {
		return nil, fmt.Errorf("unexpected args: %q", a)
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
		return "", nil, fmt.Errorf("secret %q not found", label)
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

func secretAdd(m *model, a []string) (any, error) {
	s := &secret{Content: map[string]string{}}
	for _, arg := range a {
		if label, ok := strings.CutPrefix(arg, "--label="); ok {
			s.Label = label
		}
	}
	s.Content = pairs(slices.DeleteFunc(slices.Clone(a), func(arg string) bool { return strings.HasPrefix(arg, "--") }))
	if _, _, err := m.secret([]string{"--label=" + s.Label}); err == nil {
		return nil, fmt.Errorf("secret with label %q already exists", s.Label)
	}
	if !m.Leader {
		return nil, errors.New("permission denied")
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
	s.Content = pairs(a[1:])
	return nil, nil
}

func pairs(args []string) map[string]string {
	out := map[string]string{}
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		out[k] = v
	}
	return out
}

func runTool(name string, tool func(*model, []string) (any, error)) {
	m := readModel(os.Getenv("TEST_MODEL"))
	m.Calls = append(m.Calls, name)
	out, err := tool(m, os.Args[1:])
	if m.Broken == name {
		err = errors.New("broken on purpose")
	}
	trace(name)
	writeModel(os.Getenv("TEST_MODEL"), m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "ERROR", err)
		os.Exit(1)
	}
	switch out := out.(type) {
	case nil:
	case string:
		if name == "secret-add" {
			fmt.Println(out)
			return
		}
		_ = json.NewEncoder(os.Stdout).Encode(out)
	default:
		_ = json.NewEncoder(os.Stdout).Encode(out)
	}
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

// trace is one list of everything that a test saw happen, of hook tools, cluster and Pebble, in order.
func trace(what string) {
	f, err := os.OpenFile(os.Getenv("TEST_TRACE"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return // a test that looks at no order
	}
	fmt.Fprintln(f, what)
	_ = f.Close()
}

func traced(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(os.Getenv("TEST_TRACE"))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	return strings.Fields(string(data))
}

// juju sets up a model and a hook in it, and returns how to see the model afterwards.
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
	return func() *model { return readModel(path) }
}
