package hook

// All of goops is called here, with what it and the hook tools do otherwise than one would think. Each is shown on the
// real tools, beside what is made of it, in the part of tests/e2e/testdata/hook-tools.txtar that stands in brackets, and is
// tested here against tools that refuse what those refuse.
//
//   - SetUnitStatus joins its words itself, SetAppStatus hands them on, and Juju refuses a third word. One message, always.
//     [status; TestToolsRefuse]
//   - AddSecret returns the secret's URI with the newline that the tool prints; Juju refuses such a URI. Secrets of ours are
//     found by their label, and Secret trims what it is given. [own secret; TestOwnSecretIsWrittenOnlyWhenItDiffers]
//   - A label that another secret has is refused when the hook ends, with all that the hook did: so it is asked for before.
//     [own secret; TestToolsRefuseAtTheEnd]
//   - There are no kinds of errors, only the tool's words: secretError knows them. [somebody else's secret; TestSecret]
//   - OpenPort, ClosePort: one process each, so that only differences are worth a call (SetPorts does that).
//     [ports; TestSetPortsByDifference]
//   - Publishing what is there already wakes nobody. [relation; nothing to see on fakes]
//   - During <endpoint>-relation-broken Juju still lists the relation, and answers with its old data.
//     [relation; TestRelationsWithoutTheOneBeingBroken]
//   - Environment lacks JUJU_RELATION_ID and its like: read through GetEnvGetter. [relation]
//   - FailActionf makes one message of its words itself; the tool takes no second one. [actions; TestActions]
//   - What is never called, because it fails on what the tools really say or on an older Juju: GetState of a key that was
//     never set (no state is kept in Juju at all), GetCredential, GetRelationModelUUID. [TestGoopsHasOneDoor]

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/gruyaume/goops"

	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// ErrNoSecret: there is no such secret, or it is not granted to this application.
var ErrNoSecret = errors.New("no such secret, or not granted")

func environment() Unit {
	env := goops.ReadEnv()
	app, _, _ := strings.Cut(env.UnitName, "/")
	return Unit{Name: env.UnitName, App: app, Model: env.ModelName, ModelUUID: env.ModelUUID, Event: env.HookName, Controllers: parseControllers(env.APIAddresses)}
}

func isLeader() (bool, error) { return goops.IsLeader() }

func rawConfig() (values, error) {
	var v values
	return v, goops.GetConfig(&v)
}

// Relations lists an endpoint's relations with what the other application published in each. The one that is being
// broken is left out. Two hook tools for each, one of them only the first time.
func Relations(endpoint string) ([]vpnk8slib.Relation, error) {
	ids, err := relationIDs(endpoint)
	if err != nil {
		return nil, err
	}
	return readRelations(endpoint, ids)
}

func readRelations(endpoint string, ids []string) (rels []vpnk8slib.Relation, err error) {
	apps, err := relationApps(endpoint, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		data, err := goops.GetAppRelationData(id, apps[id])
		if err != nil {
			return nil, fmt.Errorf("cannot read relation %s: %w", id, err)
		}
		rels = append(rels, vpnk8slib.Relation{ID: id, App: apps[id], Remote: data})
	}
	return rels, nil
}

// broken is the hook in which one of an endpoint's relations is taken away.
func broken(endpoint string) string { return endpoint + "-relation-broken" }

func relationIDs(endpoint string) ([]string, error) {
	ids, err := goops.GetRelationIDs(endpoint)
	if err != nil {
		return nil, fmt.Errorf("cannot list the relations of %s: %w", endpoint, err)
	}
	if gone := Broken(endpoint); gone != "" {
		ids = slices.DeleteFunc(ids, func(id string) bool { return id == gone })
	}
	slices.Sort(ids)
	return ids, nil
}

// relationApps says which application is at the other end of each of an endpoint's relations. That never changes for an id,
// and Juju never uses an id again within a model, so it is kept in the charm's folder: it would cost one process per
// relation and hook.
func relationApps(endpoint string, ids []string) (map[string]string, error) {
	path := inPod(".relation-apps.json")
	known := map[string]string{}
	if data, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(data, &known) // an unreadable cache is an empty one
	}
	apps := map[string]string{}
	for id, app := range known {
		if slices.Contains(ids, id) || !strings.HasPrefix(id, endpoint+":") { // what other endpoints know stays
			apps[id] = app
		}
	}
	for _, id := range ids {
		if apps[id] != "" {
			continue
		}
		app, err := goops.GetRelationApp(id)
		if err != nil {
			return nil, fmt.Errorf("cannot read relation %s: %w", id, err)
		}
		apps[id] = app
	}
	if !maps.Equal(known, apps) {
		if data, err := json.Marshal(apps); err == nil {
			_ = os.WriteFile(path, data, 0o600) // without it the next hook asks again
		}
	}
	return apps, nil
}

// Others are the other units of this application, by the relation between them at an endpoint: in the hook in which one departs, it is
// not among them any more. Two hook tools.
func Others(endpoint string) (units []string, err error) {
	ids, err := relationIDs(endpoint)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		there, err := goops.ListRelationUnits(id)
		if err != nil {
			return nil, fmt.Errorf("cannot list the units of relation %s: %w", id, err)
		}
		units = append(units, there...)
	}
	slices.Sort(units)
	return units, nil
}

// publish writes our application databag of a relation, or of every relation of an endpoint. Leader only. Setting what is there
// already wakes nobody, and costs no more than reading it would.
func publish(where string, databag map[string]string) (err error) {
	ids := []string{where}
	if !strings.Contains(where, ":") {
		if ids, err = relationIDs(where); err != nil {
			return err
		}
	}
	for _, id := range ids {
		if err := goops.SetAppRelationData(id, databag); err != nil {
			return fmt.Errorf("cannot publish in relation %s: %w", id, err)
		}
	}
	return nil
}

// publishUnit writes this unit's databag of a relation.
func publishUnit(id string, databag map[string]string) error {
	if err := goops.SetUnitRelationData(id, databag); err != nil {
		return fmt.Errorf("cannot publish this unit in relation %s: %w", id, err)
	}
	return nil
}

// RemoteUnits reads what each unit of the other application says in a relation. A hook tool, and one for each unit.
func RemoteUnits(id string) (map[string]map[string]string, error) {
	units, err := goops.ListRelationUnits(id)
	if err != nil {
		return nil, fmt.Errorf("cannot list the units of relation %s: %w", id, err)
	}
	said := map[string]map[string]string{}
	for _, u := range units {
		if said[u], err = UnitSays(id, u); err != nil {
			return nil, err
		}
	}
	return said, nil
}

// UnitSays reads what a unit says in a relation.
func UnitSays(id, unit string) (map[string]string, error) {
	said, err := goops.GetUnitRelationData(id, unit)
	if err != nil {
		return nil, fmt.Errorf("cannot read what %s says in relation %s: %w", unit, id, err)
	}
	return said, nil
}

// Published reads what this application said last, by relation. One that is new has heard nothing yet, and is not among them.
// Leader only: Juju shows it to nobody else.
func Published(endpoint, app string) (map[string]map[string]string, error) {
	ids, err := relationIDs(endpoint)
	if err != nil {
		return nil, err
	}
	said := map[string]map[string]string{}
	for _, id := range ids {
		databag, err := goops.GetAppRelationData(id, app)
		if err != nil {
			return nil, fmt.Errorf("cannot read what was published in relation %s: %w", id, err)
		}
		if len(databag) > 0 {
			said[id] = databag
		}
	}
	return said, nil
}

// Secret reads the newest revision of a secret by its URI or bare id. The error is ErrNoSecret when there is none for us.
func Secret(id string) (map[string]string, error) {
	id = strings.TrimSpace(id)
	content, err := goops.GetSecretByID(id, false, true)
	if err != nil {
		return nil, secretError(id, err)
	}
	return content, nil
}

// secretError knows the words of Juju's secret-get for a secret that is not there, not ours, or not even an id.
func secretError(id string, err error) error {
	for _, words := range []string{"not found", "permission denied", "not valid"} {
		if strings.Contains(err.Error(), words) {
			return fmt.Errorf("cannot read secret %s: %w", id, ErrNoSecret)
		}
	}
	return fmt.Errorf("cannot read secret %s: %w", id, err)
}

// ownSecretID is the id of a secret of this application; empty where there is none of that label. Leader only.
func ownSecretID(label string) (string, error) {
	info, err := goops.GetSecretInfoByLabel(label)
	if err != nil {
		if err = secretError(label, err); errors.Is(err, ErrNoSecret) {
			return "", nil
		}
		return "", err
	}
	for id := range info {
		return id, nil
	}
	return "", nil
}

// What became of a secret.
type outcome int

const (
	asItWas outcome = iota
	added
	changed
)

// makeSecret makes a secret of this application exist, found by its label, and readable by whom it is for. It is written only when
// its content differs: a new revision wakes every reader. Leader only.
func makeSecret(want SecretWant) (outcome, error) {
	have, err := goops.GetSecretByLabel(want.Label, false, true)
	if err != nil {
		if err = secretError(want.Label, err); !errors.Is(err, ErrNoSecret) {
			return asItWas, err
		}
		return added, inFiles(want.Content, func(content map[string]string) error { return addSecret(want, content) })
	}
	if maps.Equal(have, want.Content) {
		// Juju makes a secret, and then grants it: an earlier hook may have come half way. What is granted may be again.
		return asItWas, grant(want)
	}
	return changed, inFiles(want.Content, func(content map[string]string) error { return setSecret(want.Label, content) })
}

func setSecret(label string, content map[string]string) error {
	id, err := ownSecretID(label)
	if err == nil {
		err = goops.SetSecret(&goops.SetSecretOptions{ID: id, Content: content})
	}
	if err != nil {
		return fmt.Errorf("cannot set secret %s: %w", label, err)
	}
	return nil
}

func grant(want SecretWant) error {
	if want.Relation == "" {
		return nil
	}
	id, err := ownSecretID(want.Label)
	if err == nil {
		err = goops.GrantSecretToRelation(id, want.Relation)
	}
	if err != nil {
		return fmt.Errorf("cannot grant secret %s: %w", want.Label, err)
	}
	return nil
}

func addSecret(want SecretWant, content map[string]string) error {
	id, err := goops.AddSecret(&goops.AddSecretOptions{Label: want.Label, Content: content, Description: want.Description, Owner: goops.OwnerApplication})
	if err == nil && want.Relation != "" {
		err = goops.GrantSecretToRelation(strings.TrimSpace(id), want.Relation)
	}
	if err != nil {
		return fmt.Errorf("cannot add secret %s: %w", want.Label, err)
	}
	return nil
}

// removeSecret removes a secret of this application, with all of its revisions, if there is one of that label. Leader only.
func removeSecret(label string) error {
	id, err := ownSecretID(label)
	if err == nil && id != "" {
		err = goops.RemoveSecret(id)
	}
	if err != nil {
		return fmt.Errorf("cannot remove secret %s: %w", label, err)
	}
	return nil
}

// Broken is the relation of an endpoint that is taken away in this hook; empty in every other.
func Broken(endpoint string) string {
	if goops.ReadEnv().HookName != broken(endpoint) {
		return ""
	}
	return goops.GetEnvGetter().Get("JUJU_RELATION_ID")
}

// modelUUID is in the URI of a secret that another model is to find.
func modelUUID() string { return goops.ReadEnv().ModelUUID }

func setPorts(ports []int) error {
	want := make([]*goops.Port, len(ports))
	for i, p := range ports {
		want[i] = &goops.Port{Port: p, Protocol: goops.ProtocolTCP}
	}
	if err := goops.SetPorts(want); err != nil {
		return fmt.Errorf("cannot set the open ports: %w", err)
	}
	return nil
}

// longest is how long a status is at most, in bytes: who looks reads no more, and a command takes an argument of 128 KiB at most.
const longest = 2 << 10

// setStatus makes one line of a message: what comes from others may hold anything, and a command takes no NUL.
func setStatus(s Status) error {
	message := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s.Message)
	if len(message) > longest {
		message = strings.ToValidUTF8(message[:longest], "") + " ..."
	}
	if err := goops.SetUnitStatus(goops.StatusName(s.Kind), message); err != nil {
		return fmt.Errorf("cannot set the status: %w", err)
	}
	return nil
}

func actionName() string { return goops.ReadEnv().ActionName }

func actionParams() (Params, error) {
	var v values
	if err := goops.GetActionParams(&v); err != nil {
		return Params{}, fmt.Errorf("cannot read the action's parameters: %w", err)
	}
	return Params{v}, nil
}

func setActionResults(results map[string]string) error {
	if err := goops.SetActionResults(results); err != nil {
		return fmt.Errorf("cannot hand back the action's results: %w", err)
	}
	return nil
}

// logInfo is for what a hook changed, and for nothing else: every line is a process.
func logInfo(format string, args ...any) { goops.LogInfof(format, args...) }

// logDebug is for what nobody looks at unless something is missing.
func logDebug(format string, args ...any) { goops.LogDebugf(format, args...) }

func logError(err error) { goops.LogErrorf("%v", err) }
