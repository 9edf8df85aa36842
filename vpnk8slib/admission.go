package vpnk8slib

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// AdmissionError is the refusal of a pod, as our patch would have it made, by its namespace's Pod Security level or by a policy of the
// cluster's own. Of a StatefulSet Kubernetes only warns, and takes it; its pod would be gone and never come again.
type AdmissionError struct {
	Namespace string
	Says      string // what the level refuses, by the names of the containers; or the policy's own words
	Err       error
}

func (e *AdmissionError) Error() string {
	if e.Fix() == "" {
		return "cannot patch the pod: " + e.Says
	}
	return fmt.Sprintf("cannot patch the pod: namespace %s %s; run: %s", e.Namespace, e.Says, e.Fix())
}
func (e *AdmissionError) Unwrap() error { return e.Err }

// Fix is the command that allows it; empty where a policy refuses: only who made that one knows how it lets a pod through.
func (e *AdmissionError) Fix() string {
	if !violates.MatchString(e.Says) {
		return ""
	}
	return "kubectl label --overwrite namespace " + e.Namespace + " pod-security.kubernetes.io/enforce=privileged"
}

// violates is what the admission plugin PodSecurity says (Kubernetes, pod-security-admission/admission/admission.go).
var violates = regexp.MustCompile(`violates PodSecurity .*`)

// exceeded is what a quota says to one pod too many. Ours would take the place of another; here it stands beside it.
const exceeded = "exceeded quota"

// Admits asks as dry runs which template an apply would make, and whether its pod would be taken; nothing, where the template is there
// already. What is said of a name, or of a quota that is used up, is no refusal here: the apply itself is still to be judged.
func (k Kube) Admits(ctx context.Context, manager string, obj *Object) (there bool, err error) {
	want, err := intentOf(obj)
	if err != nil || want.bare {
		return false, err
	}
	set := want.ref
	var live map[string]any
	if k.read(ctx, "read", set.String(), set.Kind, set.Namespace, set.Name, &live) != nil {
		return false, nil // the apply itself says why
	}
	if want.holdsIn(live) {
		return true, nil
	}
	pod, err := k.podOf(ctx, manager, want)
	if err == nil {
		err = k.Try(ctx, pod)
	}
	if err != nil {
		says := cmp.Or(violates.FindString(err.Error()), words(denied.FindString(err.Error())))
		if says == "" && Refused(err) && !strings.Contains(err.Error(), exceeded) {
			says = words(err.Error())
		}
		if says != "" {
			return false, &AdmissionError{set.Namespace, says, err}
		}
	}
	return false, nil
}

// podOf is a pod as a StatefulSet would make it, once this is applied.
func (k Kube) podOf(ctx context.Context, manager string, want intent) (*Object, error) {
	set := want.ref
	path, err := path(set.Kind, set.Namespace, set.Name)
	if err != nil {
		return nil, err
	}
	apply, err := json.Marshal(want.object)
	if err != nil {
		return nil, err
	}
	var would struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
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
	answer := k.client.Patch(types.ApplyPatchType).AbsPath(path).Param("fieldManager", manager).Param("force", "true").Param("dryRun", "All").
		Body(apply).Do(ctx)
	raw, err := answer.Raw()
	if err = cmp.Or(answer.Error(), err); err == nil { // Raw's says "unknown"
		err = json.Unmarshal(raw, &would)
	}
	template := would.Spec.Template
	if err == nil && template.Spec == nil {
		err = errors.New("there is no template")
	}
	if err != nil {
		return nil, err
	}
	volumes, _ := template.Spec["volumes"].([]any)
	for _, claim := range would.Spec.Claims { // the StatefulSet's controller gives each pod a volume of that name; what kind it is no level asks
		volumes = append(volumes, map[string]any{"name": claim.Metadata.Name, "emptyDir": map[string]any{}})
	}
	template.Spec["volumes"] = volumes
	return &Object{
		APIVersion: "v1", Kind: "Pod", Spec: template.Spec,
		Metadata: Metadata{
			Name: set.Name + "-vpn-preflight", Namespace: set.Namespace, Labels: template.Metadata.Labels, Annotations: template.Metadata.Annotations,
			OwnerReferences: []owner{{"apps/v1", set.Kind, set.Name, would.Metadata.UID}}, // there are policies against pods that belong to nobody
		},
	}, nil
}
