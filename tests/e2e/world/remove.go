package world

import (
	"context"
	"strings"
	"time"
)

// Remove deletes pods of a namespace, and waits until they are gone. What kubectl itself waits for, it has been seen to wait for without end.
func (w World) Remove(ctx context.Context, namespace string, pods ...string) error {
	uids := func() (string, error) {
		return w.Kubectl(ctx, append([]string{"-n", namespace, "get", "pod", "--ignore-not-found", "-o", "jsonpath={range .items[*]}{.metadata.uid} {end}{.metadata.uid}"}, pods...)...)
	}
	before, err := uids()
	if err != nil {
		return err
	}
	if _, err := w.Kubectl(ctx, append([]string{"-n", namespace, "delete", "pod", "--wait=false"}, pods...)...); err != nil {
		return err
	}
	return Until(ctx, time.Minute, func() string {
		now, err := uids()
		if err != nil {
			return err.Error()
		}
		for _, uid := range strings.Fields(before) {
			if strings.Contains(now, uid) {
				return "a pod is still there"
			}
		}
		return ""
	})
}
