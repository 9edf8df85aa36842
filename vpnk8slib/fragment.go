package vpnk8slib

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1 "k8s.io/client-go/applyconfigurations/core/v1"
)

const (
	configHashKey = Domain + "config-hash"
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
	init       []*corev1.ContainerApplyConfiguration
	containers []*corev1.ContainerApplyConfiguration
	workload   *corev1.SecurityContextApplyConfiguration // laid over each workload container
	labels     map[string]string                         // of the pods
}

// plan applies the settings, then the whole template patch in one go and always in the same order.
func (f fragment) plan(a App, config string, workloads []string) Plan {
	return Plan{
		{Manager: managerConfig, Apply: configMap(a, config, f.settings)},
		{Manager: managerTemplate, Apply: f.statefulSet(a, config, workloads)},
	}
}

func (f fragment) statefulSet(a App, config string, workloads []string) *appsv1.StatefulSetApplyConfiguration {
	spec := corev1.PodSpec().WithVolumes(
		corev1.Volume().WithName(configVolume).WithConfigMap(corev1.ConfigMapVolumeSource().WithName(config)),
		corev1.Volume().WithName(tokenVolume).WithEmptyDir(corev1.EmptyDirVolumeSource()),
	)
	for _, c := range f.init {
		spec.WithInitContainers(mounted(c))
	}
	for _, name := range workloads {
		spec.WithContainers(corev1.Container().WithName(name).WithSecurityContext(f.workload).WithVolumeMounts(noToken()))
	}
	for _, c := range f.containers {
		spec.WithContainers(mounted(c))
	}
	template := corev1.PodTemplateSpec().
		WithAnnotations(map[string]string{configHashKey: f.hash()}).
		WithSpec(spec)
	if len(f.labels) > 0 {
		template.WithLabels(f.labels)
	}
	return appsv1.StatefulSet(a.Name, a.Namespace).WithSpec(appsv1.StatefulSetSpec().WithTemplate(template))
}

// unpatched claims nothing, so applying it gives back every field that an earlier apply claimed.
func unpatched(a App) *appsv1.StatefulSetApplyConfiguration {
	return appsv1.StatefulSet(a.Name, a.Namespace)
}

func mounted(c *corev1.ContainerApplyConfiguration) *corev1.ContainerApplyConfiguration {
	return c.WithVolumeMounts(corev1.VolumeMount().WithName(configVolume).WithMountPath(configMount).WithReadOnly(true), noToken())
}

func noToken() *corev1.VolumeMountApplyConfiguration {
	return corev1.VolumeMount().WithName(tokenVolume).WithMountPath(tokenMount).WithReadOnly(true)
}

// hash makes a changed setting roll the pod, once: a ConfigMap alone does not.
func (f fragment) hash() string {
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(f.settings)) {
		fmt.Fprintf(h, "%s %d\n%s", k, len(f.settings[k]), f.settings[k])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
