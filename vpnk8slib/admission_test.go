package vpnk8slib

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Whoever refuses the pod that a template would make is heard, by the API server's own texts and whatever their code is. What holds for a
// second pod beside the first is no refusal.
func TestAdmits(t *testing.T) {
	const webhook = `admission webhook "validation.gatekeeper.sh" denied the request: `
	const policy = `ValidatingAdmissionPolicy 'no-privilege' with binding 'everywhere' denied request: `
	for _, test := range []struct {
		summary string
		code    int32
		words   string
		told    string // empty: the pod is not refused
	}{
		{"the level", 403, `pods "x" is forbidden: violates PodSecurity "baseline:latest": privileged (container "a")`,
			`cannot patch the pod: namespace m violates PodSecurity "baseline:latest": privileged (container "a"); run: kubectl label --overwrite namespace m pod-security.kubernetes.io/enforce=privileged`},
		{"Gatekeeper, for two reasons", 403, webhook + "[psp] Privileged container is not allowed\n[caps] NET_ADMIN is not",
			"cannot patch the pod: " + webhook + "[psp] Privileged container is not allowed [caps] NET_ADMIN is not"},
		{"a webhook that gives no code", 400, `admission webhook "w.example.org" denied the request without explanation`,
			`cannot patch the pod: admission webhook "w.example.org" denied the request without explanation`},
		{"a policy", 422, `pods "x" is forbidden: ` + policy + "failed expression: x", "cannot patch the pod: " + policy + "failed expression: x"},
		{"limits of the namespace's", 403, `pods "x" is forbidden: minimum memory usage per Container is 64Mi, but request is 0`,
			`cannot patch the pod: cannot try Pod app-vpn-preflight: pods "x" is forbidden: minimum memory usage per Container is 64Mi, but request is 0`},
		{"a quota", 403, `pods "x" is forbidden: exceeded quota: all, requested: pods=1, used: pods=1, limited: pods=1`, ""},
		{"its name", 409, `pods "x" already exists`, ""},
		{"a webhook that does not answer", 500, `Internal error occurred: failed calling webhook "w.example.org"`, ""},
		{"nobody", 201, "", ""},
		{"Kyverno, the template already", 400, `admission webhook "validate.kyverno.svc-fail" denied the request: resource StatefulSet/m/app was blocked`,
			`cannot patch the pod: admission webhook "validate.kyverno.svc-fail" denied the request: resource StatefulSet/m/app was blocked`},
	} {
		t.Run(test.summary, func(t *testing.T) {
			var pod Object
			early := strings.Contains(test.words, "StatefulSet")
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch {
				case r.Method == http.MethodGet:
					_, _ = io.WriteString(w, `{}`)
				case r.Method == http.MethodPatch && !early:
					_, _ = io.WriteString(w, `{"metadata":{"uid":"7"},"spec":{"template":{"spec":{"containers":[{"name":"a"}]}}}}`)
				default:
					assert.NoError(t, json.NewDecoder(r.Body).Decode(&pod))
					w.WriteHeader(int(test.code))
					assert.NoError(t, json.NewEncoder(w).Encode(metav1.Status{
						TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Message: test.words, Code: test.code,
					}))
				}
			}))
			defer api.Close()
			kube, err := NewKube(&rest.Config{Host: api.URL})
			require.NoError(t, err)
			a := App{Name: "app", Namespace: "m"}
			there, err := kube.Admits(t.Context(), managerTemplate, fragment{init: []container{agent("vpn-guard", "agent:1", "guard")}}.statefulSet(a, "c", nil))
			assert.False(t, there)
			if !early {
				assert.Equal(t, []owner{{"apps/v1", "StatefulSet", "app", "7"}}, pod.Metadata.OwnerReferences)
			}
			if test.told == "" {
				assert.NoError(t, err)
				return
			}
			var refused *AdmissionError
			require.True(t, errors.As(err, &refused), err)
			assert.EqualError(t, err, test.told)
		})
	}
}
