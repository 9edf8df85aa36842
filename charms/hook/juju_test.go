package hook

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gruyaume/goops"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// The tools of this test are worth something only if they refuse what Juju refuses.
func TestToolsRefuse(t *testing.T) {
	after := juju(t, model{Relations: map[string]*relation{"db:1": {App: "postgres"}}}, "start")
	require.NoError(t, goops.SetAppStatus("active"), "one word is fine")
	tests := []struct {
		summary string
		do      func() error
		words   string
	}{
		{"a third word of status", func() error { return goops.SetAppStatus("active", "two", "words") }, "unrecognized args"},
		{"a status that is none", func() error { return goops.SetUnitStatus("fine") }, "invalid status"},
		{"the application's databag, by a unit that does not lead", func() error { return goops.SetAppRelationData("db:1", map[string]string{"a": "b"}) }, "cannot write relation settings"},
		{"a relation that is not there", func() error { return goops.SetAppRelationData("db:9", map[string]string{"a": "b"}) }, "relation not found"},
		{"a secret's URI with the newline of secret-add", func() error { _, err := goops.GetSecretByID("secret:1\n", false, false); return err }, "not valid"},
		{"a secret's key of two letters", func() error { return addBySecretTool("label", map[string]string{"ok": "v"}) }, `key "ok" not valid`},
		{"a secret's empty value", func() error { return addBySecretTool("label", map[string]string{"key": ""}) }, `key value "key=" not valid`},
		{"a secret of the application's, by a unit that does not lead", func() error { return addBySecretTool("label", map[string]string{"key": "v"}) }, "this unit is not the leader"},
		{"a result with a capital letter", func() error { return goops.SetActionResults(map[string]string{"Seen": "all"}) }, "lowercase"},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) { assert.ErrorContains(t, test.do(), test.words) })
	}
	assert.Empty(t, after().Relations["db:1"].Local)
}

func addBySecretTool(label string, content map[string]string) error {
	_, err := goops.AddSecret(&goops.AddSecretOptions{Label: label, Content: content, Owner: goops.OwnerApplication})
	return err
}

// A label that is taken is no tool's error: Juju finds it when the hook ends, and throws away all that the hook did.
func TestToolsRefuseAtTheEnd(t *testing.T) {
	key := map[string]string{"key": "v"}
	juju(t, model{Leader: true, Secrets: map[string]*secret{"secret:1": {Label: "taken", Content: key}}}, "start")
	uri, err := goops.AddSecret(&goops.AddSecretOptions{Label: "free", Content: key})
	require.NoError(t, err)
	assert.Equal(t, "secret:2\n", uri, "with the tool's newline")
	assert.ErrorContains(t, addBySecretTool("free", key), `secret with label "free" already exists`, "twice in one hook is found at once")
	assert.Empty(t, readModel(os.Getenv("TEST_MODEL")).Refused)
	require.NoError(t, addBySecretTool("taken", key))
	assert.Equal(t, `secret with label "taken" already exists`, readModel(os.Getenv("TEST_MODEL")).Refused)
}

// Goops has one door, and what it does wrong is called nowhere.
func TestGoopsHasOneDoor(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	require.Contains(t, files, "juju.go")
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if file != "juju.go" {
			assert.NotContains(t, string(text), "goops.", "%s", file)
			continue
		}
		assert.Contains(t, string(text), "goops.GetSecretByLabel(")
		for _, never := range []string{"SetAppStatus", "GetState", "SetState", "DeleteState", "GetCredential", "GetRelationModelUUID", "OpenPort", "ClosePort"} {
			assert.NotContains(t, string(text), "goops."+never)
		}
	}
}

// The units of an application hear of each other by a relation between them.
func TestOthers(t *testing.T) {
	juju(t, model{Relations: map[string]*relation{
		"units:0": {App: "gluetun", Units: map[string]map[string]string{"gluetun/2": {}, "gluetun/1": {}}}, "vpn-gateway:1": {App: "qbittorrent", Units: map[string]map[string]string{"qbittorrent/0": {}}},
	}}, "units-relation-joined")
	units, err := Others("units")
	require.NoError(t, err)
	assert.Equal(t, []string{"gluetun/1", "gluetun/2"}, units)
	units, err = Others("nobody")
	require.NoError(t, err)
	assert.Empty(t, units)
}

func TestReadUnit(t *testing.T) {
	juju(t, model{Leader: true}, "config-changed")
	u, err := ReadUnit()
	require.NoError(t, err)
	assert.Equal(t, Unit{
		Name: "qbittorrent/0", App: "qbittorrent", Model: "downloads", Event: "config-changed", Leader: true,
		Controllers: []netip.AddrPort{netip.MustParseAddrPort("10.44.0.1:17070"), netip.MustParseAddrPort("[fd44::1]:17070")},
	}, u)
	assert.False(t, u.Leaving())
	u.Event = "stop"
	assert.True(t, u.Leaving())
}

func TestRelationsWithoutTheOneBeingBroken(t *testing.T) {
	world := model{Relations: map[string]*relation{
		"vpn-gateway:1": {App: "gluetun", Remote: map[string]string{"config": "{}"}},
		"vpn-gateway:2": {App: "other"},
		"db:3":          {App: "postgres"},
	}}
	one := vpnk8slib.Relation{ID: "vpn-gateway:1", App: "gluetun", Remote: map[string]string{"config": "{}"}}
	two := vpnk8slib.Relation{ID: "vpn-gateway:2", App: "other"}
	tests := []struct {
		event, id string
		want      []vpnk8slib.Relation
	}{
		{"vpn-gateway-relation-changed", "vpn-gateway:1", []vpnk8slib.Relation{one, two}},
		{"vpn-gateway-relation-broken", "vpn-gateway:1", []vpnk8slib.Relation{two}},
		{"db-relation-broken", "db:3", []vpnk8slib.Relation{one, two}},
	}
	for _, test := range tests {
		t.Run(test.event+" "+test.id, func(t *testing.T) {
			juju(t, world, test.event)
			t.Setenv("JUJU_RELATION_ID", test.id)
			rels, err := Relations("vpn-gateway")
			require.NoError(t, err)
			assert.Equal(t, test.want, rels)
		})
	}
}

func TestPublished(t *testing.T) {
	said := map[string]string{"config": "{}"}
	juju(t, model{App: "gluetun", Leader: true, Relations: map[string]*relation{
		"vpn-gateway:11": {App: "newcomer"}, "vpn-gateway:8": {App: "client", Local: said},
	}}, "update-status")
	databag, err := Published("vpn-gateway", "gluetun")
	require.NoError(t, err)
	assert.Equal(t, map[string]map[string]string{"vpn-gateway:8": said}, databag)
	databag, err = Published("other", "gluetun")
	require.NoError(t, err)
	assert.Empty(t, databag)
}

func TestRelationsAskForAnApplicationOnce(t *testing.T) {
	after := juju(t, model{Relations: map[string]*relation{"vpn-gateway:1": {App: "gluetun"}}}, "update-status")
	for range 2 {
		_, err := Relations("vpn-gateway")
		require.NoError(t, err)
	}
	assert.Equal(t, []string{"relation-ids", "relation-list", "relation-get", "relation-ids", "relation-get"}, after().Calls)
}

// Each endpoint keeps what the others know.
func TestRelationsOfTwoEndpointsAskOnceEach(t *testing.T) {
	after := juju(t, model{Relations: map[string]*relation{"vpn-gateway:1": {App: "gluetun"}, "db:2": {App: "postgres"}}}, "update-status")
	for _, endpoint := range []string{"vpn-gateway", "db", "vpn-gateway", "db"} {
		rels, err := Relations(endpoint)
		require.NoError(t, err)
		require.Len(t, rels, 1)
	}
	first, again := []string{"relation-ids", "relation-list", "relation-get"}, []string{"relation-ids", "relation-get"}
	assert.Equal(t, slices.Concat(first, first, again, again), after().Calls)
}

func TestSetPortsByDifference(t *testing.T) {
	after := juju(t, model{Ports: []string{"8080/tcp", "9090/tcp"}}, "config-changed")
	for _, test := range []struct {
		ports []int
		calls []string
		open  []string
	}{
		{[]int{8080, 8081}, []string{"opened-ports", "open-port", "close-port"}, []string{"8080/tcp", "8081/tcp"}},
		{[]int{8081, 8080}, []string{"opened-ports"}, []string{"8080/tcp", "8081/tcp"}},
		{[]int{}, []string{"opened-ports", "close-port", "close-port"}, []string{}},
	} {
		before := len(after().Calls)
		require.NoError(t, setPorts(test.ports))
		m := after()
		assert.Equal(t, test.calls, m.Calls[before:])
		assert.ElementsMatch(t, test.open, m.Ports)
	}
}

func TestSecret(t *testing.T) {
	tests := []struct {
		summary string
		secrets map[string]*secret
		id      string
		missing bool
	}{
		{"granted", map[string]*secret{"secret:abc": {Content: map[string]string{"k": "v"}, Granted: true}}, "secret:abc", false},
		{"by its bare id, with the newline that a shell left", map[string]*secret{"secret:abc": {Content: map[string]string{"k": "v"}, Granted: true}}, "abc\n", false},
		{"there, but not granted", map[string]*secret{"secret:abc": {Content: map[string]string{"k": "v"}}}, "secret:abc", true},
		{"not there", nil, "secret:abc", true},
		{"no id at all", nil, "my key", true},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			juju(t, model{Secrets: test.secrets}, "config-changed")
			content, err := Secret(test.id)
			if test.missing {
				assert.ErrorIs(t, err, ErrNoSecret)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, map[string]string{"k": "v"}, content)
		})
	}
	t.Run("a controller that does not answer is another matter", func(t *testing.T) {
		juju(t, model{FailAt: 1, Secrets: map[string]*secret{"secret:abc": {Granted: true}}}, "config-changed")
		_, err := Secret("abc")
		require.Error(t, err)
		assert.NotErrorIs(t, err, ErrNoSecret)
	})
}

func TestOwnSecretIsWrittenOnlyWhenItDiffers(t *testing.T) {
	after := juju(t, model{Leader: true}, "config-changed")
	for _, value := range []string{"one", "one", "two"} {
		_, err := ownSecret(SecretWant{Label: "api-key", Content: map[string]string{"key": value}})
		require.NoError(t, err)
		after() // a hook each
	}
	m := after()
	assert.Equal(t, []string{"secret-get", "secret-add", "secret-get", "secret-get", "secret-info-get", "secret-set"}, m.Calls)
	assert.Equal(t, map[string]string{"key": "two"}, m.Secrets["secret:1"].Content)
}

// A secret for one relation is granted in it, told by a URI that another model finds, asked of Juju no more than it takes, and gone
// with the relation. What is in it is in the words of no command.
func TestSecretOfARelation(t *testing.T) {
	after := juju(t, model{Leader: true}, "config-changed")
	t.Setenv("JUJU_MODEL_UUID", "0b8a6c2e-0000-4000-8000-000000000001")
	want := SecretWant{Label: "key-vpn-gateway-3", Content: map[string]string{"key": "0123456789abcdef"}, Relation: "vpn-gateway:3"}
	once := func() (uri string, calls []string) {
		before := len(after().Calls)
		uri, err := OwnSecret(want.Label)
		require.NoError(t, err)
		_, err = ownSecret(want)
		require.NoError(t, err)
		return uri, after().Calls[before:]
	}
	uri, calls := once()
	assert.Empty(t, uri, "it is there when the hook has ended")
	assert.Equal(t, []string{"secret-info-get", "secret-get", "secret-add", "secret-grant"}, calls)
	uri, calls = once()
	assert.Equal(t, "secret://0b8a6c2e-0000-4000-8000-000000000001/1", uri)
	assert.Equal(t, []string{"secret-info-get", "secret-get", "secret-info-get", "secret-grant"}, calls, "granted once more: the first time may have failed")
	uri, calls = once()
	assert.NotEmpty(t, uri)
	assert.Empty(t, calls, "a steady hook asks nobody")
	m := after()
	assert.Equal(t, "vpn-gateway:3", m.Secrets["secret:1"].To)
	assert.Equal(t, want.Content, m.Secrets["secret:1"].Content)
	for _, line := range m.Words {
		assert.NotContains(t, line, "0123456789abcdef")
	}
	left, err := filepath.Glob(filepath.Join(os.Getenv("JUJU_CHARM_DIR"), ".secret-*"))
	require.NoError(t, err)
	assert.Empty(t, left)

	require.NoError(t, forgetSecret(want.Label))
	require.NoError(t, forgetSecret(want.Label), "one that is gone is gone")
	assert.Empty(t, after().Secrets)
	uri, err = OwnSecret(want.Label)
	require.NoError(t, err)
	assert.Empty(t, uri)
}

func TestActions(t *testing.T) {
	type params struct {
		Seconds int `json:"seconds" validate:"min=1,max=60"`
	}
	actions := map[string]Action{"wait": func(_ context.Context, p Params) (map[string]string, error) {
		got, err := ReadParams[params](p)
		if err != nil {
			return nil, err
		}
		if got.Seconds == 13 {
			return map[string]string{"seen": "half"}, errors.New("cannot wait that long")
		}
		return map[string]string{"seen": "all"}, nil
	}}
	tests := []struct {
		summary, name string
		seconds       int
		results       map[string]string
		failed        string
	}{
		{"done", "wait", 5, map[string]string{"seen": "all"}, ""},
		{"failed, with what it has", "wait", 13, map[string]string{"seen": "half"}, "cannot wait that long"},
		{"refused parameter", "wait", 90, nil, `cannot use parameter seconds="90": the largest allowed is 60`},
		{"an action that is none", "sleep", 5, nil, `cannot run action "sleep": this charm has none of that name`},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			after := juju(t, model{Params: map[string]any{"seconds": test.seconds}}, "")
			t.Setenv("JUJU_ACTION_NAME", test.name)
			err := dispatch(t.Context(), func(context.Context) error { return errors.New("an action is not a hook") }, actions)
			if test.failed == "" {
				assert.NoError(t, err)
			} else {
				assert.EqualError(t, err, test.failed, "else `juju run` would end as if all were well")
			}
			assert.Equal(t, test.results, after().Results)
		})
	}
}

// A status is one line that a terminal shows as it is, whatever somebody else has written into it.
func TestAStatusIsOneLine(t *testing.T) {
	after := juju(t, model{}, "start")
	require.NoError(t, setStatus(Active("in Zürich they say: a\x00b\nc\x1b]0;d\u202e")))
	assert.Equal(t, []string{"active", "in Zürich they say: a b c ]0;d "}, after().Status)
}

// However much somebody else has written, the status is told, and not the hook failed: a command takes no more than 128 KiB in one argument.
func TestAStatusHasAnEnd(t *testing.T) {
	after := juju(t, model{}, "start")
	require.NoError(t, setStatus(Active(strings.Repeat("é", 100<<10))))
	told := after().Status[1]
	assert.Less(t, len(told), 3<<10)
	assert.True(t, utf8.ValidString(told))
	assert.True(t, strings.HasSuffix(told, "é ..."), told[len(told)-8:])
}
