// Package provision makes a cluster agree with the lab controller's models, as Juju's own workers do, and with Juju's own
// code for all that lands in the cluster: namespaces are models, StatefulSets are applications, pods are units.
package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// Settings are what a provisioner is made of.
type Settings struct {
	Kubeconfig          string
	ControllerUUID      string
	ControllerAddresses []string // where pods' agents are told to come
	CACert              string
	OperatorImage       string // with Juju's agent
	CharmBaseImage      string // in which charms run
	Log                 func(format string, args ...any)
}

// Provisioner keeps one cluster in step with one controller.
type Provisioner struct {
	Settings
	controller *model.Controller
	client     kubernetes.Interface

	namespaces map[string]string // name: its model's UUID
	apps       map[key]*applied
}

// key names an application in the cluster.
type key struct{ namespace, app string }

// New connects to a cluster.
func New(c *model.Controller, s Settings) (*Provisioner, error) {
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("cannot read the cluster's credentials: %w", err)
	}
	config.QPS, config.Burst = 50, 100
	config.Wrap(juju36)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the cluster: %w", err)
	}
	return &Provisioner{Settings: s, controller: c, client: client, namespaces: map[string]string{}, apps: map[key]*applied{}}, nil
}

// every is how often the cluster is looked at even if nothing tells of a change; sooner while an application is going,
// because nothing tells that the last of it has gone.
func (p *Provisioner) every() time.Duration {
	for _, have := range p.apps {
		if have.removing {
			return 500 * time.Millisecond
		}
	}
	return 5 * time.Second
}

// Run follows the models and the cluster until the context ends.
func (p *Provisioner) Run(ctx context.Context) error {
	pods := make(chan struct{}, 1)
	go p.watchPods(ctx, pods)
	for {
		changed := p.controller.View(func() {})
		if err := p.sync(ctx); err != nil && ctx.Err() == nil {
			p.Log("%v", err)
		}
		// Several changes at once are one: a moment's patience spares the cluster most of the looking.
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-pods:
		case <-time.After(p.every()):
		}
	}
}

// watchPods tells of every change of any pod.
func (p *Provisioner) watchPods(ctx context.Context, changed chan<- struct{}) {
	for ctx.Err() == nil {
		w, err := p.client.CoreV1().Pods(metav1.NamespaceAll).Watch(ctx, metav1.ListOptions{})
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		for range w.ResultChan() {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}
}

// sync brings the cluster one step nearer. What fails is tried again at the next change, and keeps nothing else back.
func (p *Provisioner) sync(ctx context.Context) error {
	var failed []error
	models, apps := p.wanted()
	for name, uuid := range models {
		failed = append(failed, p.ensureNamespace(ctx, name, uuid))
	}
	for k, want := range apps {
		if err := p.ensure(k, want); err != nil {
			failed = append(failed, fmt.Errorf("cannot provision %s in %s: %w", k.app, k.namespace, err))
		}
	}
	for k := range p.apps {
		if _, wanted := apps[k]; !wanted {
			if err := p.remove(k); err != nil {
				failed = append(failed, fmt.Errorf("cannot remove %s from %s: %w", k.app, k.namespace, err))
			}
		}
	}
	for name := range p.namespaces {
		if models[name] == "" {
			failed = append(failed, p.removeNamespace(ctx, name))
		}
	}
	return errors.Join(failed...)
}
