package vpnk8slib

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// cluster is a Reader over JSON, by "Kind namespace/name". A kind of which there is nothing is not served, as far as a
// Reader can tell.
type cluster struct {
	objects map[string]string
	ranges  []string // networks of the Services, as told in refusals; none: refused in other words
	failure error    // of every question
	asked   []string // "verb Kind"
}

func (c *cluster) Get(_ context.Context, ref Ref, into any) error {
	c.asked = append(c.asked, "get "+ref.Kind)
	if c.failure != nil {
		return c.failure
	}
	raw, ok := c.objects[ref.Kind+" "+ref.Namespace+"/"+ref.Name]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: ref.Kind}, ref.Name)
	}
	return json.Unmarshal([]byte(raw), into)
}

func (c *cluster) List(_ context.Context, kind, namespace string, into any) error {
	c.asked = append(c.asked, "list "+kind)
	if c.failure != nil {
		return c.failure
	}
	var keys []string
	for key := range c.objects {
		if strings.HasPrefix(key, kind+" "+namespace) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 && !slices.Contains([]string{"EndpointSlice", "Node", "NetworkPolicy", "Pod", "TrialPod"}, kind) {
		return apierrors.NewNotFound(schema.GroupResource{Resource: kind}, "")
	}
	slices.Sort(keys)
	var items []string
	for _, key := range keys {
		items = append(items, c.objects[key])
	}
	return json.Unmarshal([]byte(`{"items":[`+strings.Join(items, ",")+`]}`), into)
}

// Try refuses a Service as the API server does (v1.35.4, and v1.32 as emulated by it).
func (c *cluster) Try(_ context.Context, obj *Object) error {
	c.asked = append(c.asked, "try "+obj.Kind)
	if c.failure != nil {
		return c.failure
	}
	addr := obj.Spec.(serviceSpec).ClusterIP
	why := "the provided network does not match the current range"
	for _, r := range c.ranges {
		if strings.Contains(r, ":") == strings.Contains(addr, ":") {
			why = fmt.Sprintf("the provided IP (%s) is not in the valid range. The range of valid IPs is %s", addr, r)
		}
	}
	return refused("try", obj.Ref().String(), "", apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, obj.Metadata.Name, field.ErrorList{
		field.Invalid(field.NewPath("spec", "clusterIPs"), []string{addr}, fmt.Sprintf("failed to allocate IP %s: %s", addr, why)),
	}))
}
