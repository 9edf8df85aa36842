package vpnk8slib

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// Domain is the prefix of our labels and annotations.
const Domain = "vpn.charmarr.io/"

// App is the Juju application whose objects are meant.
type App struct {
	Name      string
	Namespace string
	// OwnerUID is the UID of the ServiceAccount that Juju makes for the application. Our own objects are owned by it and go
	// with it. It outlives the StatefulSet, which Juju deletes and makes anew when storage changes.
	OwnerUID types.UID
	// Unit is this unit's name, "qbittorrent/0": its pod is looked at. Without it, nothing is said of that pod.
	Unit string
}

// Pod is the name that Juju gives the unit's pod.
func (a App) Pod() string { return strings.ReplaceAll(a.Unit, "/", "-") }

// KillSwitchName is the name of an application's NetworkPolicy.
func KillSwitchName(app string) string { return app + "-vpn-killswitch" }

func (a App) clientConfig() string  { return a.Name + "-vpn-client" }
func (a App) clientState() string   { return a.Name + "-vpn-state" }
func (a App) keys() string          { return a.Name + "-vpn-keys" }
func (a App) trials() string        { return a.Name + "-vpn-trial" }
func (a App) standby() string       { return a.Name + "-vpn-standby" }
func (a App) gatewayConfig() string { return a.Name + "-vpn-gateway" }

// labels are those that Juju gives its own objects of the application: by them it, and the operator, find ours too.
func (a App) labels() map[string]string {
	return map[string]string{nameLabel: a.Name, managedLabel: "juju"}
}

const (
	// nameLabel selects an application's pods; Juju puts it on every one of them.
	nameLabel    = "app.kubernetes.io/name"
	managedLabel = "app.kubernetes.io/managed-by"
	// gatewayLabel is on the ConfigMap of every gateway: by it they find each other's.
	gatewayLabel = Domain + "gateway"
)

func (a App) podLabels() map[string]string { return map[string]string{nameLabel: a.Name} }

// owner is nil where the ServiceAccount is not known: then nothing is claimed about it.
func (a App) owner() []owner {
	if a.OwnerUID == "" {
		return nil
	}
	return []owner{{"v1", "ServiceAccount", a.Name, string(a.OwnerUID)}}
}
