package provision

import (
	"reflect"

	"github.com/juju/clock"
	"github.com/juju/errors"
	"github.com/juju/juju/caas"
	"github.com/juju/juju/caas/kubernetes/provider/application"
	"github.com/juju/juju/caas/kubernetes/provider/utils"
	"github.com/juju/juju/caas/kubernetes/provider/watcher"
	"github.com/juju/juju/core/life"
	"github.com/juju/names/v5"

	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// applied is what the cluster was last given of an application.
type applied struct {
	app      caas.Application
	want     want
	ensured  bool
	removing bool
}

func (p *Provisioner) application(k key, model string) caas.Application {
	return application.NewApplication(k.app, k.namespace, model, k.namespace, false, caas.DeploymentStateful, p.client,
		watcher.NewKubernetesNotifyWatcher, clock.WallClock, utils.RandomPrefix)
}

// ensure gives the cluster what has changed: Juju, too, compares with what it gave last, and not with what is there.
func (p *Provisioner) ensure(k key, w want) error {
	have := p.apps[k]
	switch {
	case have == nil:
		have = &applied{app: p.application(k, p.namespaces[k.namespace])}
		p.apps[k] = have
	case have.removing: // the last one of this name is still going
		return p.remove(k)
	}
	if changed(have, w) {
		p.Log("%s/%s: applying", k.namespace, k.app)
		if err := have.app.Ensure(w.config); err != nil {
			return err
		}
		if !have.ensured { // a StatefulSet that is there keeps its scale
			have.want.replicas = w.config.InitialScale
		}
		have.ensured, have.want.config = true, w.config
	}
	if have.want.replicas != w.replicas {
		p.Log("%s/%s: scaling to %d", k.namespace, k.app, w.replicas)
		if err := have.app.Scale(w.replicas); err != nil {
			return err
		}
		have.want.replicas = w.replicas
	}
	if !reflect.DeepEqual(have.want.ports, w.ports) {
		p.Log("%s/%s: ports %v", k.namespace, k.app, w.ports)
		if err := have.app.UpdatePorts(w.ports, false); err != nil {
			return err
		}
		have.want.ports = w.ports
	}
	return p.follow(k, have.app)
}

// changed compares what Juju would: the scale is given by other means, and trust comes with the rest.
func changed(have *applied, w want) bool {
	was, now := have.want.config, w.config
	was.InitialScale, now.InitialScale = 0, 0
	return !have.ensured || !reflect.DeepEqual(was, now)
}

// remove takes an application out of the cluster; it is forgotten when nothing of it is left.
func (p *Provisioner) remove(k key) error {
	have := p.apps[k]
	if !have.removing {
		p.Log("%s/%s: removing", k.namespace, k.app)
		if err := have.app.Delete(); err != nil {
			return err
		}
		have.removing = true
	}
	state, err := have.app.Exists()
	if err != nil {
		return err
	}
	if !state.Exists {
		delete(p.apps, k)
	}
	return nil
}

// follow tells the model what became of the pods, and takes dead units away once theirs are gone.
func (p *Provisioner) follow(k key, app caas.Application) error {
	pods, err := app.Units()
	if err != nil {
		return err
	}
	service, err := app.Service()
	if err != nil && !errors.Is(err, errors.NotFound) {
		return err
	}
	var m *model.Model
	news := false
	look := func(change bool) {
		for _, have := range p.controller.Models {
			if have.Name == k.namespace {
				m = have
			}
		}
		if m == nil || m.Apps[k.app] == nil {
			return
		}
		a := m.Apps[k.app]
		put := func(to *string, value string) {
			if *to != value {
				news = true
				if change {
					*to = value
				}
			}
		}
		if service != nil {
			put(&a.ProviderID, service.Id)
			if len(service.Addresses) > 0 {
				put(&a.Address, service.Addresses[0].Value)
			}
		}
		byName := map[string]caas.Unit{}
		for _, pod := range pods {
			byName[pod.Id] = pod
		}
		for _, u := range m.Units {
			if u.App != a.Name {
				continue
			}
			pod, there := byName[podName(u)]
			switch {
			case there && !pod.Dying && pod.Address != "":
				put(&u.Address, pod.Address)
				put(&u.ProviderID, pod.Id)
			case !there && u.Life == life.Dead:
				news = true
				if change {
					p.controller.RemoveUnit(m, u)
				}
			}
			// Before its agent has come a unit shows what its pod waits for.
			if there && u.Agent.Status == "allocating" && pod.Status.Message != "" && u.Workload.Info != pod.Status.Message {
				news = true
				if change {
					u.Workload = model.StatusNow("waiting", pod.Status.Message)
				}
			}
		}
	}
	p.controller.View(func() { look(false) })
	if !news {
		return nil
	}
	return p.controller.Update(func() error {
		look(true)
		return nil
	})
}

func podName(u *model.Unit) string {
	tag := names.NewUnitTag(u.Name)
	app, _ := names.UnitApplication(u.Name)
	return app + "-" + tag.Id()[len(app)+1:]
}
