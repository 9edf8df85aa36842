package vpnk8slib

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"

	"k8s.io/apimachinery/pkg/types"
)

// AdmissionError is the refusal of a pod, as our patch would have it made, by its namespace's Pod Security level. Of a StatefulSet
// Kubernetes only warns, and takes it; its pod would be gone and never come again.
type AdmissionError struct {
	Namespace string
	Says      string // what the level refuses, by the names of the containers
	Err       error
}

func (e *AdmissionError) Error() string {
	return fmt.Sprintf("cannot patch the pod: namespace %s %s; run: %s", e.Namespace, e.Says, e.Fix())
}
func (e *AdmissionError) Unwrap() error { return e.Err }

// Fix is the command that allows it.
func (e *AdmissionError) Fix() string {
	return "kubectl label --overwrite namespace " + e.Namespace + " pod-security.kubernetes.io/enforce=privileged"
}

// violates is what the admission plugin PodSecurity says (Kubernetes, pod-security-admission/admission/admission.go).
var violates = regexp.MustCompile(`violates PodSecurity .*`)

// Admits asks as dry runs which template an apply would make, and whether its pod would be taken; nothing, where the template is there
// already. Whatever else is said of that pod is no refusal here: it may be of a name or a quota, and the apply itself is still to be judged.
func (k Kube) Admits(ctx context.Context, manager string, obj *Object) error {
	want, err := intentOf(obj)
	if err != nil || want.bare {
		return err
	}
	set := want.ref
	var live map[string]any
	if k.read(ctx, "read", set.String(), set.Kind, set.Namespace, set.Name, &live) != nil || want.holdsIn(live) {
		return nil // the apply itself says why it cannot be read
	}
	path, err := path(set.Kind, set.Namespace, set.Name)
	if err != nil {
		return err
	}
	apply, err := json.Marshal(want.object)
	if err != nil {
		return err
	}
	var would struct {
		Spec struct {
			Template struct {
				Metadata struct {
					Labels      map[string]string `json:"labels"`
					Annotations map[string]string `json:"annotations"`
				} `json:"metadata"`
				Spec map[string]any `json:"spec"`
			} `json:"template"`
			Claims []struct {
				Metadata struct {
					Name string `json:"name"`
				} `json:"metadata"`
			} `json:"volumeClaimTemplates"`
		} `json:"spec"`
	}
	raw, err := k.client.Patch(types.ApplyPatchType).AbsPath(path).Param("fieldManager", manager).Param("force", "true").Param("dryRun", "All").
		Body(apply).Do(ctx).Raw()
	if err != nil || json.Unmarshal(raw, &would) != nil || would.Spec.Template.Spec == nil {
		return nil // the apply itself says it
	}
	template := would.Spec.Template
	volumes, _ := template.Spec["volumes"].([]any)
	for _, claim := range would.Spec.Claims { // the StatefulSet's controller gives each pod a volume of that name; what kind it is no level asks
		volumes = append(volumes, map[string]any{"name": claim.Metadata.Name, "emptyDir": map[string]any{}})
	}
	template.Spec["volumes"] = volumes
	err = k.Try(ctx, &Object{
		APIVersion: "v1", Kind: "Pod", Spec: template.Spec,
		Metadata: Metadata{Name: set.Name + "-vpn-preflight", Namespace: set.Namespace, Labels: template.Metadata.Labels, Annotations: template.Metadata.Annotations},
	})
	if err == nil {
		return nil
	}
	if says := violates.FindString(err.Error()); says != "" {
		return &AdmissionError{set.Namespace, says, err}
	}
	return nil
}
