package vpnk8slib

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
)

// intentKey is an annotation of our own on every object we apply to: the hash of what we want. It tells a smaller intent
// from an equal one, which the fields themselves cannot.
const intentKey = Domain + "intent"

// intent is an Object as data.
type intent struct {
	ref    Ref
	object map[string]any
	bare   bool // claims nothing: gives back every field that an earlier apply claimed
	hash   string
}

func intentOf(obj *Object) (intent, error) {
	i := intent{ref: obj.Ref(), bare: obj.Spec == nil && obj.Data == nil && obj.Metadata.Annotations == nil && obj.Metadata.Labels == nil}
	data, err := json.Marshal(obj)
	if err == nil {
		err = json.Unmarshal(data, &i.object)
	}
	if err != nil {
		return intent{}, fmt.Errorf("cannot write %s: %w", i.ref, err)
	}
	meta, _ := i.object["metadata"].(map[string]any)
	if i.bare {
		return i, nil
	}
	sum := sha256.Sum256(data)
	i.hash = hex.EncodeToString(sum[:8])
	annotations, _ := meta["annotations"].(map[string]any)
	if annotations == nil {
		annotations = map[string]any{}
		meta["annotations"] = annotations
	}
	annotations[intentKey] = i.hash
	return i, nil
}

// app is the application that the object belongs to: by its label, or by the StatefulSet's own name.
func (i intent) app() string {
	if i.ref.Kind == "StatefulSet" {
		return i.ref.Name
	}
	meta, _ := i.object["metadata"].(map[string]any)
	labels, _ := meta["labels"].(map[string]any)
	for _, by := range []string{nameLabel, trialLabel} {
		if app, _ := labels[by].(string); app != "" {
			return app
		}
	}
	return ""
}

// holdsIn says whether the live object is as we want it. What others own beside us does not count, except in a policy:
// there every addition makes it wider, so its spec must be ours to the letter.
func (i intent) holdsIn(live map[string]any) bool {
	meta, _ := live["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	if hash, _ := annotations[intentKey].(string); hash != i.hash {
		return false
	}
	if i.bare {
		return true
	}
	if i.ref.Kind == "NetworkPolicy" || i.ref.Kind == "CiliumNetworkPolicy" {
		if !reflect.DeepEqual(i.object["spec"], live["spec"]) {
			return false
		}
	}
	return contained("", i.object, live)
}

// mergeKeys are the lists that Kubernetes merges by a key instead of replacing them (the +listMapKey marks of its API types),
// as far as our intents use them.
var mergeKeys = map[string]string{
	"containers": "name", "initContainers": "name", "volumes": "name", "env": "name",
	"volumeMounts": "mountPath", "ownerReferences": "uid",
}

// contained says whether all of want stands in have. A list without a key is one value: same length, each element contained,
// since the server adds defaults inside elements.
func contained(field string, want, have any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return len(w) == 0 && have == nil // an empty object that the server does not store
		}
		for k, v := range w {
			if !contained(k, v, h[k]) {
				return false
			}
		}
		return true
	case []any:
		h, ok := have.([]any)
		if !ok {
			return len(w) == 0 && have == nil
		}
		key := mergeKeys[field]
		if key == "" && len(w) != len(h) {
			return false
		}
		for n, v := range w {
			var counterpart any
			if key == "" {
				counterpart = h[n]
			} else {
				counterpart = find(h, key, v)
			}
			if counterpart == nil || !contained("", v, counterpart) {
				return false
			}
		}
		return true
	default:
		return reflect.DeepEqual(want, have)
	}
}

func find(list []any, key string, like any) any {
	want, _ := like.(map[string]any)
	for _, e := range list {
		if have, ok := e.(map[string]any); ok && have[key] == want[key] {
			return have
		}
	}
	return nil
}
