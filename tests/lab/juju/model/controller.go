// Package model is the lab controller's memory: its models and what stands in them, and Juju's rules of how one thing
// follows from another. The facades for the juju program and those for agents read and change it under one lock.
package model

import (
	"strings"
	"sync"
	"time"

	"github.com/juju/juju/core/life"
	"github.com/juju/juju/core/secrets"
	"github.com/juju/utils/v3"
)

// KubernetesVersion is the cluster's.
const KubernetesVersion = "1.35.4"

// Version is what the controller calls itself; 3.6 because it adds what charms need of it (JUJU-3.6.md).
const Version = "3.6.0"

// Controller holds every model. Its fields, and everything below them, are touched only inside Update and View.
type Controller struct {
	UUID   string
	Models map[string]*Model // by UUID

	mu      sync.Mutex
	changed chan struct{}
	logged  chan struct{}
	tokens  map[string]string
}

// New is a controller without models.
func New() *Controller {
	return &Controller{
		UUID: utils.MustNewUUID().String(), Models: map[string]*Model{},
		changed: make(chan struct{}), logged: make(chan struct{}), tokens: map[string]string{},
	}
}

// Update changes the controller and wakes everyone who waits for a change.
func (c *Controller) Update(change func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() {
		close(c.changed)
		c.changed = make(chan struct{})
	}()
	return change()
}

// View reads the controller. The channel closes at the next Update: a watcher looks, compares and waits on it.
func (c *Controller) View(look func()) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	look()
	return c.changed
}

// later changes the controller after a while.
func (c *Controller) later(after time.Duration, change func()) {
	time.AfterFunc(after, func() {
		_ = c.Update(func() error { // its function returns nil
			change()
			return nil
		})
	})
}

// UpdateStatus is how often Juju lets a charm look around, where a model says nothing.
const UpdateStatus = 5 * time.Minute

// AddModel makes an empty model.
func (c *Controller) AddModel(name, owner string) *Model {
	m := &Model{
		Name: name, UUID: utils.MustNewUUID().String(), Owner: owner, Life: life.Alive, Created: time.Now(), UpdateStatus: UpdateStatus,
		Charms: map[string]*Charm{}, Apps: map[string]*App{}, Units: map[string]*Unit{}, Relations: map[int]*Relation{},
		Offers: map[string]*Offer{}, Remotes: map[string]*Remote{}, Secrets: map[string]*Secret{},
		Consumed: map[secrets.URI]map[string]Consumer{},
		Actions:  map[string]*Action{}, Operations: map[string]*Operation{}, Pending: map[string]*Resource{},
	}
	c.Models[m.UUID] = m
	return m
}

// Token is the name under which the models of others know a consuming application, empty before it has been in a relation
// with one.
func (c *Controller) Token(m *Model, app string) string { return c.tokens[m.UUID+" "+app] }

// token is that name from the first relation on: always the same one.
func (c *Controller) token(m *Model, app string) string {
	key := m.UUID + " " + app
	if c.tokens[key] == "" {
		c.tokens[key] = "remote-" + strings.ReplaceAll(utils.MustNewUUID().String(), "-", "")
	}
	return c.tokens[key]
}
