package hook

import (
	"fmt"
	"time"

	"k8s.io/client-go/rest"

	"github.com/charmarr/charmarr-go/charms/hook/tracing"
	"github.com/charmarr/charmarr-go/vpnk8slib"
)

// write is how long the API server may take over one request of Apply.
const write = 5 * time.Second

// NewEnv reaches the cluster that this pod runs in, as the application's own ServiceAccount, and the Pebbles beside it.
func NewEnv() (Env, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return Env{}, fmt.Errorf("cannot configure the Kubernetes client: %w", err)
	}
	return reach(config)
}

// reach is NewEnv of an API server.
func reach(config *rest.Config) (Env, error) {
	config.Timeout = write
	config.UserAgent = "charmarr"
	config.Wrap(tracing.Requests)
	kube, err := vpnk8slib.NewKube(config)
	if err != nil {
		return Env{}, fmt.Errorf("cannot make the Kubernetes client: %w", err)
	}
	return Env{Cluster: kube, Reader: kube, Pebble: ContainerPebble}, nil
}
