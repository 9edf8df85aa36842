package vpnk8slib

import (
	"errors"
	"fmt"
)

// Relation is one vpn-gateway relation as a hook sees it. The one being broken is not among them.
type Relation struct {
	ID     string            // "vpn-gateway:3"
	App    string            // the remote application, as it is called in this model
	Remote map[string]string // its application databag
}

// Link is the vpn-gateway relation seen from a consumer. Err is nil, ErrNotRelated, ErrNotReady or an *InvalidError.
type Link struct {
	Relation string // the relation's ID; empty without one
	Gateway  ProviderData
	Err      error
}

// ReadLink reads the consumer's side of its one vpn-gateway relation. The application is the consumer's own: it is named in
// the commands of errors.
func ReadLink(app string, rels []Relation) Link {
	switch len(rels) {
	case 0:
		return Link{Err: ErrNotRelated}
	case 1:
		d, err := DecodeProviderData(rels[0].App, rels[0].Remote)
		var invalid *InvalidError
		if errors.As(err, &invalid) {
			invalid.Err = told(invalid.Err, app)
		}
		return Link{rels[0].ID, d, err}
	default:
		return Link{rels[0].ID, ProviderData{}, &InvalidError{rels[0].App,
			fmt.Errorf("%[1]s is related to %[2]s as well; keep one gateway: juju remove-relation %[1]s %[2]s", app, rels[1].App)}}
	}
}

// Consumer is one related application seen from a gateway. Err is nil, ErrNotReady or an *InvalidError.
type Consumer struct {
	Relation string
	App      string
	Data     RequirerData
	Err      error
}

// Consumers reads the gateway's side of its relations.
func Consumers(rels []Relation) []Consumer {
	var out []Consumer
	for _, r := range rels {
		d, err := DecodeRequirerData(r.App, r.Remote)
		out = append(out, Consumer{r.ID, r.App, d, err})
	}
	return out
}
