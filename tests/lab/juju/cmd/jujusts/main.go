// Command jujusts does to a cluster what Juju does to it for one application: it is Juju's own builder of StatefulSets,
// for tests of what Juju's next visit leaves of other hands' work.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/juju/clock"
	"github.com/juju/juju/caas"
	"github.com/juju/juju/caas/kubernetes/provider/application"
	"github.com/juju/juju/caas/kubernetes/provider/utils"
	"github.com/juju/juju/caas/kubernetes/provider/watcher"
	"github.com/juju/juju/core/resources"
	"github.com/juju/juju/environs/tags"
	"github.com/juju/juju/storage"
	"github.com/juju/version/v2"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const modelUUID, controllerUUID = "deadbeef-1bad-500d-9000-4b1d0d06f00d", "deadbeef-0bad-400d-8000-4b1d0d06f00d"

type options struct {
	kubeconfig, namespace, app, agent, containers, mount string

	modified, units int
	trust           bool
}

func main() {
	var o options
	flag.StringVar(&o.kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "how to reach the cluster")
	flag.StringVar(&o.namespace, "namespace", "", "the model")
	flag.StringVar(&o.app, "app", "", "the application")
	flag.StringVar(&o.agent, "agent", "3.5.0", "version of Juju's agent")
	flag.StringVar(&o.containers, "containers", "", "name=image of each workload container, separated by commas")
	flag.StringVar(&o.mount, "mount", "", "where the first container mounts a storage; empty: none")
	flag.IntVar(&o.modified, "modified", 0, "how often the charm was changed: juju refresh, attach-resource")
	flag.IntVar(&o.units, "units", 1, "how many units")
	flag.BoolVar(&o.trust, "trust", false, "what juju trust says")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: jujusts [flag ...] ensure|trust|scale|ports|delete")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(o, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(o options, what string) error {
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	app := application.NewApplication(o.app, o.namespace, modelUUID, o.namespace, false, caas.DeploymentStateful, client,
		watcher.NewKubernetesNotifyWatcher, clock.WallClock, utils.RandomPrefix)
	switch what {
	case "ensure":
		config, err := o.application()
		if err != nil {
			return err
		}
		return app.Ensure(config)
	case "trust":
		return app.Trust(o.trust)
	case "scale":
		return app.Scale(o.units)
	case "ports":
		return app.UpdatePorts([]caas.ServicePort{{Name: "8080-tcp", Port: 8080, TargetPort: 8080, Protocol: "tcp"}}, true)
	case "delete":
		return app.Delete()
	default:
		return fmt.Errorf("cannot do %q: it is ensure, trust, scale, ports or delete", what)
	}
}

func (o options) application() (caas.ApplicationConfig, error) {
	agent, err := version.Parse(o.agent)
	if err != nil {
		return caas.ApplicationConfig{}, err
	}
	owner := map[string]string{tags.JujuModel: modelUUID, tags.JujuController: controllerUUID}
	c := caas.ApplicationConfig{
		AgentVersion: agent, AgentImagePath: "ghcr.io/juju/jujud-operator:" + o.agent, CharmBaseImagePath: "ghcr.io/juju/charm-base:ubuntu-22.04",
		CharmModifiedVersion: o.modified, Containers: map[string]caas.ContainerConfig{},
		IntroductionSecret: "secret", ControllerAddresses: "10.44.0.1:17070", ControllerCertBundle: "no certificate",
		ResourceTags: owner, Trust: o.trust, InitialScale: o.units, CharmUser: caas.RunAsRoot,
	}
	for n, pair := range strings.Split(o.containers, ",") {
		name, image, ok := strings.Cut(pair, "=")
		if !ok {
			return c, fmt.Errorf("cannot read the container %q: write name=image", pair)
		}
		container := caas.ContainerConfig{Name: name, Image: resources.DockerImageDetails{RegistryPath: image}}
		if n == 0 && o.mount != "" {
			container.Mounts = []caas.MountConfig{{StorageName: "data", Path: o.mount}}
			c.Filesystems = []storage.KubernetesFilesystemParams{{
				StorageName: "data", Size: 1024, Provider: "kubernetes", ResourceTags: owner,
				Attributes: map[string]any{"storage-class": "standard", "storage-provisioner": "rancher.io/local-path"},
				Attachment: &storage.KubernetesFilesystemAttachmentParams{Path: o.mount},
			}}
		}
		c.Containers[name] = container
	}
	return c, nil
}
