package model

import (
	"maps"
	"strings"
	"time"

	"github.com/juju/errors"
	"github.com/juju/juju/core/life"
	"github.com/juju/juju/core/secrets"
	"github.com/juju/names/v5"
)

// Latest is the newest revision.
func (s *Secret) Latest() Revision { return s.Revisions[len(s.Revisions)-1] }

// Content is a revision's.
func (s *Secret) Content(revision int) (map[string]string, error) {
	for _, r := range s.Revisions {
		if r.Number == revision {
			return r.Data, nil
		}
	}
	return nil, errors.NotFoundf("secret revision %d for %q", revision, s.ID)
}

// Revise notes a change, and makes a new revision where there is new content: of that, other models hear a moment later.
func (c *Controller) Revise(m *Model, s *Secret, content map[string]string) {
	s.Updated = time.Now()
	if len(content) > 0 {
		s.Revisions = append(s.Revisions, Revision{Number: s.Latest().Number + 1, Data: content, Created: s.Updated})
		c.later(moment(), func() { c.tellRevision(m, s) })
	}
}

// tellRevision lets the units of other models that have read a secret hear of its newest revision. As in Juju they do for
// as long as their model has something of the owner's as a SAAS, whether they may still read it or not.
func (c *Controller) tellRevision(m *Model, s *Secret) {
	if m.Secrets[s.ID] != s {
		return
	}
	uri := secrets.URI{SourceUUID: m.UUID, ID: s.ID}
	for _, other := range c.Models {
		if !other.consumes(m) {
			continue
		}
		for unit, tracked := range other.Consumed[uri] {
			app, _ := names.UnitApplication(unit)
			if _, reads := s.Consumers[c.Token(other, app)+strings.TrimPrefix(unit, app)]; reads {
				tracked.Latest = s.Latest().Number
				other.Consumed[uri][unit] = tracked
			}
		}
	}
}

// Consume notes what a unit has of another model's secret.
func (m *Model) Consume(uri secrets.URI, unit string, tracked Consumer) {
	if m.Consumed[uri] == nil {
		m.Consumed[uri] = map[string]Consumer{}
	}
	m.Consumed[uri][unit] = tracked
}

// LabelExists is the kind of the errors that refuse a label which is taken.
const LabelExists = errors.ConstError("label exists")

// CheckLabel refuses a label that an owner or a reader has already given to a secret, and one that stands between an
// application and its units: both find each other's secrets by it.
func (m *Model) CheckLabel(who names.Tag, label string) error {
	taken := func(format string, args ...any) error {
		return errors.WithType(errors.Errorf(format, args...), LabelExists)
	}
	switch who := who.(type) {
	case names.ApplicationTag:
		for _, u := range m.Units {
			if u.App == who.Name && (m.owned(names.NewUnitTag(u.Name), label) || m.read(u.Name, label)) {
				return taken("secret label %q for a unit of application %q already exists", label, who.Name)
			}
		}
	case names.UnitTag:
		app, _ := names.UnitApplication(who.Id())
		if m.owned(names.NewApplicationTag(app), label) {
			return taken("secret label %q for application %q already exists", label, app)
		}
		if m.read(who.Id(), label) {
			return taken("secret label %q for consumer %q already exists", label, who)
		}
	}
	if m.owned(who, label) {
		return taken("secret label %q for owner %q already exists", label, who)
	}
	return nil
}

func (m *Model) owned(owner names.Tag, label string) bool {
	for _, s := range m.Secrets {
		if s.OwnerTag == owner.String() && s.Label == label {
			return true
		}
	}
	return false
}

func (m *Model) read(unit, label string) bool {
	for _, s := range m.Secrets {
		if s.Consumers[unit].Label == label {
			return true
		}
	}
	for _, consumers := range m.Consumed {
		if consumers[unit].Label == label {
			return true
		}
	}
	return false
}

// Grant lets an application or a unit read a secret while the scope lives.
func (m *Model) Grant(s *Secret, subject, scope names.Tag, role secrets.SecretRole) error {
	if role == secrets.RoleNone || !role.IsValid() {
		return errors.NotValidf("secret role %q", role)
	}
	alive, _, err := m.lifeOf(scope)
	switch {
	case err != nil:
		return errors.Annotate(err, "invalid scope reference")
	case alive != life.Alive:
		return errors.Errorf("cannot grant access to secret in scope of %q which is not alive", scope)
	}
	alive, remote, err := m.lifeOf(subject)
	if subject.Kind() == names.UnitTagKind && errors.Is(err, errors.NotFound) {
		if app, _ := names.UnitApplication(subject.Id()); m.Remotes[app] != nil {
			return errors.NotSupportedf("sharing secrets with a unit across a cross model relation")
		}
	}
	switch {
	case err != nil:
		return errors.Annotate(err, "invalid subject reference")
	case alive != life.Alive:
		return errors.Errorf("cannot grant dying %q access to secret", subject)
	case remote != nil && !remote.Consumer:
		return errors.NotSupportedf("sharing consumer secrets across a cross model relation")
	}
	if was, ok := s.Grants[subject.String()]; ok && was.Scope != scope.String() {
		return errors.New("cannot change secret permission scope")
	}
	s.Grants[subject.String()] = Grant{Scope: scope.String(), Role: role}
	return nil
}

// lifeOf is the life of what a secret can be granted to or in; remote is set for an application of another model.
func (m *Model) lifeOf(tag names.Tag) (alive life.Value, remote *Remote, err error) {
	switch tag := tag.(type) {
	case names.RelationTag:
		for _, r := range m.Relations {
			if r.Key == tag.Id() {
				return r.Life, nil, nil
			}
		}
		return "", nil, errors.NotFoundf("relation %q", tag.Id())
	case names.UnitTag:
		if u := m.Units[tag.Id()]; u != nil {
			return u.Life, nil, nil
		}
		return "", nil, errors.NotFoundf("unit %q", tag.Id())
	case names.ApplicationTag:
		if a := m.Apps[tag.Id()]; a != nil {
			return a.Life, nil, nil
		}
		if remote = m.Remotes[tag.Id()]; remote != nil {
			return remote.Life, remote, nil
		}
		return "", nil, errors.NotFoundf("saas application %q", tag.Id())
	case names.ModelTag:
		if tag.Id() == m.UUID {
			return m.Life, nil, nil
		}
		return "", nil, errors.NotFoundf("model %q", tag.Id())
	}
	return "", nil, errors.NotValidf("secret scope reference %q", tag)
}

// revokeAll takes back what was granted to something that goes, and what was granted only while it was there.
func (m *Model) revokeAll(gone names.Tag) {
	for _, s := range m.Secrets {
		maps.DeleteFunc(s.Grants, func(subject string, g Grant) bool { return subject == gone.String() || g.Scope == gone.String() })
	}
}

// forgetSecrets removes an owner's secrets.
func (m *Model) forgetSecrets(owner names.Tag) {
	maps.DeleteFunc(m.Secrets, func(_ string, s *Secret) bool { return s.OwnerTag == owner.String() })
}

// forgetReader forgets what a unit has read.
func (m *Model) forgetReader(unit string) {
	for _, s := range m.Secrets {
		delete(s.Consumers, unit)
	}
	for _, consumers := range m.Consumed {
		delete(consumers, unit)
	}
}

// forgetReaders forgets what the units of a consumer in another model have read.
func (m *Model) forgetReaders(proxy string) {
	for _, s := range m.Secrets {
		maps.DeleteFunc(s.Consumers, func(unit string, _ Consumer) bool {
			app, _ := names.UnitApplication(unit)
			return app == proxy
		})
	}
}
