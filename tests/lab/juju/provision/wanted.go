package provision

import (
	"fmt"
	"sort"
	"strings"

	"github.com/juju/juju/caas"
	"github.com/juju/juju/core/life"
	"github.com/juju/juju/core/network"
	"github.com/juju/juju/core/resources"
	"github.com/juju/juju/docker"
	"github.com/juju/juju/environs/tags"
	"github.com/juju/names/v5"
	"github.com/juju/utils/v3"
	"github.com/juju/version/v2"

	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// want is what the cluster is to have of one application.
type want struct {
	config   caas.ApplicationConfig
	replicas int
	ports    []caas.ServicePort
}

// wanted reads the models. An application without a password gets one: with it its pods introduce themselves.
func (p *Provisioner) wanted() (models map[string]string, apps map[key]want) {
	models, apps = map[string]string{}, map[key]want{}
	var without []*model.App
	read := func() {
		without = nil
		for _, m := range p.controller.Models {
			models[m.Name] = m.UUID
			for _, a := range m.Apps {
				if a.Password == "" {
					without = append(without, a)
					continue
				}
				apps[key{m.Name, a.Name}] = want{p.config(m, a), replicas(m, a), ports(m, a)}
			}
		}
	}
	p.controller.View(read)
	if len(without) == 0 {
		return models, apps
	}
	_ = p.controller.Update(func() error { // its function returns nil
		for _, a := range without {
			if password, err := utils.RandomPassword(); err == nil {
				a.Password = password
			}
		}
		read()
		return nil
	})
	return models, apps
}

// replicas are the pods that units still need: one that dies keeps its pod until its agent has said farewell, and so do
// those before it, because a StatefulSet takes away from the end.
func replicas(m *model.Model, a *model.App) int {
	n := 0
	for _, u := range m.Units {
		if u.App == a.Name && u.Life != life.Dead {
			n = max(n, names.NewUnitTag(u.Name).Number()+1)
		}
	}
	return n
}

// ports are those that any unit has opened, as Juju's firewaller puts them on the application's service.
func ports(m *model.Model, a *model.App) []caas.ServicePort {
	seen := map[string]bool{}
	var out []caas.ServicePort
	for _, u := range m.Units {
		if u.App != a.Name {
			continue
		}
		for _, text := range u.Ports {
			r, err := network.ParsePortRange(text)
			if err != nil || r.Protocol == "icmp" {
				continue
			}
			for port := r.FromPort; port <= r.ToPort; port++ {
				name := fmt.Sprintf("%d-%s", port, r.Protocol)
				if !seen[name] {
					seen[name] = true
					out = append(out, caas.ServicePort{Name: name, Port: port, TargetPort: port, Protocol: r.Protocol})
				}
			}
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

func (p *Provisioner) config(m *model.Model, a *model.App) caas.ApplicationConfig {
	out := caas.ApplicationConfig{
		AgentVersion: version.MustParse(model.Version), AgentImagePath: p.OperatorImage, CharmBaseImagePath: p.CharmBaseImage,
		CharmModifiedVersion: a.ModifiedVersion, Containers: map[string]caas.ContainerConfig{},
		IntroductionSecret: a.Password, ControllerAddresses: strings.Join(p.ControllerAddresses, ","), ControllerCertBundle: p.CACert,
		ResourceTags: map[string]string{tags.JujuModel: m.UUID, tags.JujuController: p.ControllerUUID},
		Trust:        a.Trust, InitialScale: replicas(m, a), CharmUser: caas.RunAsRoot,
	}
	for name, container := range a.Charm.Charm.Meta().Containers {
		image := a.Resources[container.Resource]
		out.Containers[name] = caas.ContainerConfig{
			Name: name, Uid: container.Uid, Gid: container.Gid,
			Image: resources.DockerImageDetails{RegistryPath: image.Path, ImageRepoDetails: docker.ImageRepoDetails{
				BasicAuthConfig: docker.BasicAuthConfig{Username: image.Username, Password: image.Password},
			}},
		}
	}
	return out
}
