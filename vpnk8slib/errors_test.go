package vpnk8slib

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Trust is asked for where trust would help.
func TestRefused(t *testing.T) {
	for _, test := range []struct {
		summary, words string
		trust          bool
	}{
		{"no right", `User "system:serviceaccount:vpn:qbittorrent" cannot patch resource "networkpolicies" in API group "networking.k8s.io" in the namespace "vpn"`, true},
		{"a quota", "exceeded quota: all, requested: count/configmaps=1, used: count/configmaps=9, limited: count/configmaps=9", false},
		{"a namespace on its way out", "unable to create new content in namespace vpn because it is being terminated", false},
		{"a webhook", `admission webhook "policy.example.org" denied the request: no`, false},
	} {
		t.Run(test.summary, func(t *testing.T) {
			answer := apierrors.NewForbidden(schema.GroupResource{Group: "networking.k8s.io", Resource: "networkpolicies"}, "lock", errors.New(test.words))
			err := refused("apply", "NetworkPolicy lock", "qbittorrent", answer)
			var forbidden *ForbiddenError
			assert.Equal(t, test.trust, errors.As(err, &forbidden))
			assert.ErrorIs(t, err, answer)
			if test.trust {
				assert.EqualError(t, err, "cannot apply NetworkPolicy lock: not allowed; run: juju trust qbittorrent --scope=cluster")
			} else {
				assert.ErrorContains(t, err, test.words)
			}
		})
	}
}
