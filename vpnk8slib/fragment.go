package vpnk8slib

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
)

const (
	configHashKey = Domain + "config-hash"
	liveHashKey   = Domain + "live-hash"
	configVolume  = "vpn-config"
	configMount   = "/config"

	// Kubernetes mounts nothing over a mount that is there already (admission plugin ServiceAccount), so an empty volume at
	// this path keeps a container from the token. After `juju trust` that token can do everything.
	tokenVolume = "vpn-no-token"
	tokenMount  = "/var/run/secrets/kubernetes.io/serviceaccount"
)

// fragment is what a routing method adds to an application: settings and containers.
type fragment struct {
	settings   map[string]string // files of the ConfigMap, mounted at /config; any change rolls the pod
	live       map[string]string // more files of it: the sidecar reads them again, and a change rolls nothing
	init       []container
	containers []container
	workload   *securityContext  // laid over each workload container
	limits     map[string]string // of each workload container: what a device plugin hands out
	labels     map[string]string // of the pods
	unlinked   bool              // Services of the namespace put nothing into the environment
	keys       map[string]string // files of the Secret keysName; a change rolls nothing
	keysName   string
	volumes    []volume      // beside those that every patch of ours has
	charm      []volumeMount // of the charm's own container
	shared     []volumeMount // of each workload container and of the agent that stays
}

// plan applies the settings, then the whole template patch in one go and always in the same order. With the *TrialError of an image the
// template stays as it is, and so do the settings of a pod that runs by others.
func (f fragment) plan(a App, config string, workloads []string, t Trials) (Plan, error) {
	tries, spent, err := f.try(a, t)
	if err != nil && !t.sameSettings(f) {
		return append(tries, spent...), err
	}
	files := map[string]string{}
	maps.Copy(files, f.settings)
	maps.Copy(files, f.live)
	plan := Plan{{Manager: managerConfig, Apply: configMap(a, config, files)}}
	if len(f.keys) > 0 { // one that may not be read now stays what it was
		plan = append(plan, Step{Manager: managerKeys, Apply: secret(a, f.keysName, f.keys)})
	}
	if err == nil {
		plan = append(plan, Step{Manager: managerTemplate, Apply: f.statefulSet(a, config, workloads)})
	}
	if len(f.charm) > 0 && a.Unit != "" {
		plan = append(plan, Step{Manager: managerPod, Apply: f.wake(a)})
	}
	return slices.Concat(plan, tries, spent), err
}

func (f fragment) statefulSet(a App, config string, workloads []string) *Object {
	spec := podSpec{Volumes: []volume{
		{Name: configVolume, ConfigMap: &configMapName{config, ptr(true)}}, // a pod that waits for it could not be repaired from inside
		{Name: tokenVolume, EmptyDir: &struct{}{}},
	}}
	spec.Volumes = append(spec.Volumes, f.volumes...)
	if f.unlinked {
		spec.EnableServiceLinks = ptr(false)
	}
	if len(f.charm) > 0 {
		spec.Containers = append(spec.Containers, container{Name: charmName, VolumeMounts: f.charm})
	}
	for _, c := range f.init {
		spec.InitContainers = append(spec.InitContainers, mounted(c))
	}
	for _, name := range workloads {
		spec.Containers = append(spec.Containers, container{Name: name, SecurityContext: f.workload, Resources: limited(f.limits), VolumeMounts: append([]volumeMount{noToken}, f.shared...)})
	}
	for _, c := range f.containers {
		spec.Containers = append(spec.Containers, mounted(c))
	}
	set := unpatched(a)
	set.Spec = statefulSetSpec{podTemplate{Metadata{Annotations: map[string]string{configHashKey: f.hash()}, Labels: f.labels}, spec}}
	return set
}

// unpatched claims nothing, so applying it gives back every field that an earlier apply claimed.
func unpatched(a App) *Object {
	return &Object{APIVersion: "apps/v1", Kind: "StatefulSet", Metadata: Metadata{Name: a.Name, Namespace: a.Namespace}}
}

func mounted(c container) container {
	c.VolumeMounts = append([]volumeMount{{configVolume, configMount, true}, noToken}, c.VolumeMounts...)
	return c
}

var noToken = volumeMount{tokenVolume, tokenMount, true}

// hash makes a changed setting roll the pod, once: a ConfigMap alone does not. What changes by itself, an API server that
// comes or a node that goes, is not in it: the kubelet brings the new files to the pod that runs.
func (f fragment) hash() string {
	return hash(f.settings)
}

// wake tells the kubelet of new files: it looks at a pod's volumes when the pod changes, else once a minute or so.
func (f fragment) wake(a App) *Object {
	return &Object{APIVersion: "v1", Kind: "Pod", Metadata: Metadata{
		Name: a.Pod(), Namespace: a.Namespace, Annotations: map[string]string{liveHashKey: hash(f.live, f.keys)},
	}}
}

func hash(all ...map[string]string) string {
	h := sha256.New()
	for _, files := range all {
		for _, k := range slices.Sorted(maps.Keys(files)) {
			fmt.Fprintf(h, "%s %d\n%s", k, len(files[k]), files[k])
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// unprivileged is a workload that can neither change routes nor send around them.
func unprivileged() *securityContext {
	return &securityContext{Capabilities: &capabilities{Drop: []string{"NET_ADMIN", "NET_RAW"}}}
}

// outsideTheMesh: a mesh must not take the tunnel's packets for its own.
func outsideTheMesh() map[string]string { return map[string]string{"istio.io/dataplane-mode": "none"} }
