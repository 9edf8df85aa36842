package model

import (
	"time"

	"github.com/juju/charm/v12"
	"github.com/juju/juju/core/life"
	"github.com/juju/juju/core/secrets"
	"github.com/juju/juju/rpc/params"
)

// Model is one Juju model: a namespace of the lab's cluster.
type Model struct {
	Name, UUID, Owner string
	Life              life.Value // dying while destroy-model waits for what is in it
	Created           time.Time
	Charms            map[string]*Charm // by URL
	Apps              map[string]*App
	Units             map[string]*Unit
	Relations         map[int]*Relation
	Offers            map[string]*Offer
	Remotes           map[string]*Remote                  // by name in this model
	Secrets           map[string]*Secret                  // by id, without "secret:"
	Consumed          map[secrets.URI]map[string]Consumer // of other models' secrets, by unit
	Actions           map[string]*Action
	Operations        map[string]*Operation
	Pending           map[string]*Resource // by id, until an application takes it
	Logs              []params.LogMessage  // the newest
	LogsDropped       int                  // those before them
	UpdateStatus      time.Duration        // between two update-status hooks

	nextRelation, lastTask int
}

// Status is what status-set sets, or Juju in its place.
type Status struct {
	Status, Info string
	Data         map[string]any
	Since        time.Time
}

// StatusNow is a status that begins now.
func StatusNow(status, info string) Status {
	return Status{Status: status, Info: info, Since: time.Now()}
}

// Charm is one revision of an uploaded charm.
type Charm struct {
	URL, Path, SHA256 string // Path: the archive
	Charm             charm.Charm
}

// App is an application.
type App struct {
	Name            string
	Charm           *Charm
	Origin          params.CharmOrigin
	ModifiedVersion int            // counts what makes agents restart: another charm or image
	Config          map[string]any // only what the user set
	Trust           bool
	Scale           int // units wanted
	Resources       map[string]Resource
	Leader          string // a unit's name, empty until one claims it, and again when its lease has run out
	ProviderID      string
	Address         string
	Life            life.Value
	Status          Status // empty: what its units say
	Password        string // with which its agents introduce themselves

	leaseEnds time.Time
}

// Resource is a container image.
type Resource struct {
	ID, Name, Path, Username, Password string // Path: the image's reference
	Size                               int64
	Time                               time.Time
}

// Unit is a unit. Its number is its pod's, so the number of a removed unit comes again.
type Unit struct {
	Name, App       string
	Life            life.Value
	Agent, Workload Status
	Address         string
	ProviderID      string
	Ports           []string // like 8080/TCP
	Version         string   // of the workload
	CharmURL        string   // which the agent runs
	Password        string   // the agent's
	// State is what the agent keeps with the controller: its own and the charm's (state-set).
	State params.UnitStateResult
}

// Endpoint is one end of a relation.
type Endpoint struct {
	App string
	charm.Relation
}

// Relation is a relation in one model. One across models is two of them, each other's Twin: the offering model's half is
// made, and everything carried from one half to the other, a moment later.
type Relation struct {
	ID        int
	Key       string // like "client:vpn-gateway gateway:vpn-gateway", requirer first
	Endpoints []Endpoint
	Life      life.Value
	Status    Status
	AppData   map[string]map[string]string // by application
	UnitData  map[string]map[string]string // by unit: who is in scope
	// Versions count the changes of each application's and unit's data, by name.
	Versions map[string]int64
	Twin     *Relation

	model    *Model
	own      string // across models: the application of this half's model
	carrying bool   // the other half will hear of it
	removed  bool
}

// Offer is what a model offers to others.
type Offer struct {
	UUID, Name, App, Description string
	Endpoints                    map[string]charm.Relation
}

// Remote is an application of another model: in a consuming model what it consumes, known as SAAS; in the offering
// model one consumer's stand-in, "remote-" and a token.
type Remote struct {
	Name, OfferUUID, OfferURL string
	Source                    string // the other model's UUID
	Endpoints                 []charm.Relation
	Status                    Status
	Life                      life.Value
	Consumer                  bool
}

// Secret is a user's, an application's or a unit's.
type Secret struct {
	ID, OwnerTag, Label, Description string
	Revisions                        []Revision
	Grants                           map[string]Grant    // by the tag of the application or unit that may read it
	Consumers                        map[string]Consumer // by unit
	Created, Updated                 time.Time
}

// Grant lets somebody read a secret for as long as its scope is there: the tag of a relation, or of the owner.
type Grant struct {
	Scope string
	Role  secrets.SecretRole
}

// Consumer is what a unit that reads a secret has of it. Across models there are two, as in Juju: one of the unit, where
// it is, with its label, and one of "remote-", its token and its number, where the secret is.
type Consumer struct {
	Revision int // the one it tracks: what secret-get shows without --refresh
	Latest   int // the newest that it has heard of; only of another model's secret
	Label    string
}

// Revision is a secret's content, base64 as the API carries it.
type Revision struct {
	Number  int
	Data    map[string]string
	Created time.Time
}

// Action is one task: an action for one unit.
type Action struct {
	ID, Operation, Unit, Name, Status, Message string
	Params, Results                            map[string]any
	Log                                        []params.ActionMessage
	Enqueued, Started, Completed               time.Time
}

// Operation is the tasks of one "juju run".
type Operation struct {
	ID, Summary string
	Actions     []string
}
