package vpnk8slib

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the kubelet writes into a pod's status, as it was seen on v1.35.4, and what is made of it.
func TestJudge(t *testing.T) {
	began := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		summary, status string
		after           time.Duration
		trial           Trial
	}{
		{"just made", `{"phase":"Pending"}`, 0, Trial{}},
		{"being pulled", `{"phase":"Pending","containerStatuses":[{"name":"try-a","state":{"waiting":{"reason":"ContainerCreating"}}}]}`, 0, Trial{}},
		{"it runs", `{"phase":"Running","containerStatuses":[{"name":"try-a","state":{"running":{}}}]}`, 0, Trial{}},
		{"one of two has ended", `{"phase":"Running","containerStatuses":[{"name":"try-a","state":{"running":{}}},{"name":"try-b","state":{"terminated":{"exitCode":0,"reason":"Completed"}}}]}`, 0, Trial{}},
		{"both have", `{"phase":"Succeeded","containerStatuses":[{"name":"try-a","state":{"terminated":{"exitCode":0}}},{"name":"try-b","state":{"terminated":{"exitCode":0}}}]}`, 0, Trial{Proven: true, Ended: true}},
		{"it has, and a mesh's goes on", `{"phase":"Running","containerStatuses":[{"name":"istio-proxy","state":{"running":{}}},{"name":"try-a","state":{"terminated":{"exitCode":0}}}]}`, 0, Trial{Proven: true, Ended: true}},
		{"only a mesh's has ended", `{"phase":"Pending","containerStatuses":[{"name":"istio-init","state":{"terminated":{"exitCode":0}}}]}`, 0, Trial{}},
		{"there is no such image", `{"phase":"Pending","containerStatuses":[{"name":"try-a","state":{"waiting":{"reason":"ErrImagePull","message":"failed to pull:\n not found"}}}]}`, 0,
			Trial{Why: "ErrImagePull", Says: "failed to pull: not found"}},
		{"and still", `{"phase":"Pending","containerStatuses":[{"name":"try-a","state":{"waiting":{"reason":"ImagePullBackOff","message":"Back-off"}}}]}`, 0, Trial{Why: "ImagePullBackOff", Says: "Back-off"}},
		{"no image can be called so", `{"phase":"Pending","containerStatuses":[{"name":"try-a","state":{"waiting":{"reason":"InvalidImageName"}}}]}`, 0, Trial{Why: "InvalidImageName"}},
		{"nothing can be made of it", `{"phase":"Pending","containerStatuses":[{"name":"try-a","state":{"waiting":{"reason":"CreateContainerError","message":"no"}}}]}`, 0, Trial{Why: "CreateContainerError", Says: "no"}},
		{"it has no such program", `{"phase":"Failed","containerStatuses":[{"name":"try-a","state":{"terminated":{"exitCode":128,"reason":"StartError","message":"stat /agent"}}}]}`, 0,
			Trial{Ended: true, Why: "StartError, exit status 128", Says: "stat /agent"}},
		{"it knows no such command", `{"phase":"Running","containerStatuses":[{"name":"try-a","state":{"terminated":{"exitCode":2,"reason":"Error","message":"agent: there is no command"}}},{"name":"try-b","state":{"running":{}}}]}`, 0,
			Trial{Ended: true, Why: "Error, exit status 2", Says: "agent: there is no command"}},
		{"its time is over", `{"phase":"Failed","reason":"DeadlineExceeded","message":"Pod was active on the node longer than the specified deadline"}`, 11 * time.Minute,
			Trial{Ended: true, Why: "DeadlineExceeded", Says: "Pod was active on the node longer than the specified deadline"}},
		{"it failed, and nobody says why", `{"phase":"Failed"}`, 0, Trial{Ended: true, Why: "Failed"}},
		{"no node takes it", `{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","message":"0/1 nodes are available"}]}`, time.Minute, Trial{}},
		{"and none has for long", `{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","message":"0/1 nodes are available"}]}`, 11 * time.Minute, Trial{Why: "it has not run yet", Says: "0/1 nodes are available"}},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			var p seenTrial
			require.NoError(t, json.Unmarshal([]byte(`{"metadata":{"name":"p","creationTimestamp":"2026-11-27T12:00:00Z"},"status":`+test.status+`}`), &p))
			test.trial.Pod, test.trial.Age = "p", test.after
			assert.Equal(t, test.trial, p.judge(began.Add(test.after)))
			going := began
			if p.Metadata.DeletionTimestamp = &going; !test.trial.Proven && test.after <= trialTime {
				assert.Equal(t, Trial{Pod: "p", Age: test.after}, p.judge(began.Add(test.after)), "one that is going says nothing")
			}
		})
	}
}

// steps are those of a plan, in words.
func steps(p Plan) (out []string) {
	for _, s := range p {
		if s.Apply != nil {
			out = append(out, "apply "+s.Apply.Ref().String())
		} else {
			out = append(out, "delete "+s.Delete.String())
		}
	}
	return out
}

func TestTrials(t *testing.T) {
	a := App{Name: "app", Namespace: "m", OwnerUID: "1"}
	f := fragment{
		settings:   map[string]string{"a": "b"},
		init:       []container{agent("vpn-guard", "agent:2", "guard", "--once"), script("vpn-route-init", "pod-gateway:1", "init.sh", nil)},
		containers: []container{agent("vpn-agent", "agent:2", "client")},
	}
	live := Trials{Images: []string{"app:1", "agent:1", "pod-gateway:1"}, Containers: []string{"app", "vpn-guard", "vpn-route-init", "vpn-agent"}, Settings: f.hash()}
	pods := f.trials(a, live)
	require.Len(t, pods, 1, "what the template has is not tried")
	name := pods[0].object.Metadata.Name
	laid := []string{"apply ConfigMap c"}
	policy, pod, spent := "apply NetworkPolicy app-vpn-trial", "apply Pod "+name, "delete Pod "+name
	template := "apply StatefulSet app"
	of := func(trial Trial) func(*Trials) {
		return func(t *Trials) { trial.Pod = name; t.Pods = append(t.Pods, trial) }
	}
	tests := []struct {
		summary string
		change  func(*Trials)
		steps   []string
		err     *TrialError
	}{
		{"nobody has tried it", func(*Trials) {}, append(slices.Clone(laid), policy, pod), &TrialError{}},
		{"it is being tried", of(Trial{}), laid, &TrialError{}},
		{"it has run", of(Trial{Proven: true, Ended: true}), append(slices.Clone(laid), template), nil},
		{"it has run, and the template has it", func(t *Trials) { t.Images = append(t.Images, "agent:2"); of(Trial{Proven: true, Ended: true})(t) }, append(slices.Clone(laid), template, spent), nil},
		{"it cannot be pulled", of(Trial{Why: "ErrImagePull"}), laid, &TrialError{Why: "ErrImagePull"}},
		{"it cannot be run, and failed just now", of(Trial{Why: "Error", Ended: true}), laid, &TrialError{Why: "Error"}},
		{"and failed long ago: the next hook tries again", of(Trial{Why: "Error", Ended: true, Age: 11 * time.Minute}), append(slices.Clone(laid), spent), &TrialError{Why: "Error"}},
		{"it cannot be pulled for long: the kubelet goes on", of(Trial{Why: "ErrImagePull", Age: 11 * time.Minute}), laid, &TrialError{Why: "ErrImagePull"}},
		{"the template has it", func(t *Trials) { t.Images = append(t.Images, "agent:2") }, append(slices.Clone(laid), template), nil},
		{"the template has it, and another was tried", func(t *Trials) { t.Images = append(t.Images, "agent:2"); of(Trial{Why: "ErrImagePull"})(t) }, append(slices.Clone(laid), template, spent), nil},
		{"another was tried before", func(t *Trials) { t.Pods = []Trial{{Pod: "other", Why: "ErrImagePull"}} }, append(slices.Clone(laid), policy, pod, "delete Pod other"), &TrialError{}},
		{"other settings: the pod that runs by these keeps them", func(t *Trials) { t.Settings = "other" }, []string{policy, pod}, &TrialError{Held: true}},
		{"other settings, and it has run", func(t *Trials) { t.Settings = "other"; of(Trial{Proven: true})(t) }, append(slices.Clone(laid), template), nil},
		{"another container: the same", func(t *Trials) { t.Containers = t.Containers[1:3] }, []string{policy, pod}, &TrialError{Held: true}},
		{"no settings yet: nobody reads them", func(t *Trials) { t.Settings, t.Containers = "", nil }, append(slices.Clone(laid), policy, pod), &TrialError{}},
	}
	for _, test := range tests {
		t.Run(test.summary, func(t *testing.T) {
			now := live
			now.Images = slices.Clone(live.Images)
			test.change(&now)
			plan, err := f.plan(a, "c", []string{"app"}, now)
			assert.Equal(t, test.steps, steps(plan))
			if test.err == nil {
				assert.NoError(t, err)
				return
			}
			test.err.Image, test.err.Option, test.err.Pod = "agent:2", "vpn-agent-image", Ref{"Pod", name, "m"}
			assert.Equal(t, test.err, err)
		})
	}
}

// Two images at once: each is tried, the template waits for both, and of two that differ the one is told that cannot be used.
func TestTrialsOfTwoImages(t *testing.T) {
	a := App{Name: "app", Namespace: "m"}
	f := fragment{init: []container{agent("vpn-guard", "agent:2", "guard"), script("vpn-route-init", "pod-gateway:2", "init.sh", nil)}}
	var now Trials
	plan, err := f.plan(a, "c", nil, now)
	require.Error(t, err)
	pods := f.trials(a, now)
	require.Len(t, pods, 2)
	first, second := pods[0].object.Metadata.Name, pods[1].object.Metadata.Name
	assert.Equal(t, []string{"apply ConfigMap c", "apply NetworkPolicy app-vpn-trial", "apply Pod " + first, "apply Pod " + second}, steps(plan))
	now.Pods = []Trial{{Pod: first, Proven: true}, {Pod: second}}
	plan, err = f.plan(a, "c", nil, now)
	var trial *TrialError
	require.True(t, errors.As(err, &trial))
	assert.Equal(t, "pod-gateway:2", trial.Image)
	assert.Equal(t, []string{"apply ConfigMap c"}, steps(plan), "what is proven waits for the other")
	now.Pods = []Trial{{Pod: first, Why: "ErrImagePull", Says: "not found"}, {Pod: second}}
	_, err = f.plan(a, "c", nil, now)
	assert.EqualError(t, told(err, "app"), "cannot use the image agent:2: ErrImagePull: juju config app vpn-agent-image=<image>; not found; see: kubectl -n m describe pod "+first)
	now.Pods = []Trial{{Pod: first, Proven: true}, {Pod: second, Proven: true}}
	plan, err = f.plan(a, "c", nil, now)
	require.NoError(t, err)
	assert.Equal(t, []string{"apply ConfigMap c", "apply StatefulSet app"}, steps(plan))
	now.Images = []string{"agent:2", "pod-gateway:2"}
	plan, err = f.plan(a, "c", nil, now)
	require.NoError(t, err)
	assert.Equal(t, []string{"apply ConfigMap c", "apply StatefulSet app", "delete Pod " + first, "delete Pod " + second}, steps(plan), "the next hook finds them there")
}

// A trial is named by what is in it: another registry's secret is another trial.
func TestTrialsAreWhereTheTemplateIs(t *testing.T) {
	a := App{Name: "app", Namespace: "m"}
	uses := []container{agent("vpn-agent", "agent:2", "client")}
	plain := trial(a, uses, where{})
	var w where
	require.NoError(t, json.Unmarshal([]byte(`{"imagePullSecrets":[{"name":"registry"}],"nodeSelector":{"disk":"ssd"},"tolerations":[{"key":"k"}],"affinity":{"nodeAffinity":{"x":1},"podAntiAffinity":{"y":1}}}`), &w))
	there := trial(a, uses, w)
	assert.NotEqual(t, plain.Metadata.Name, there.Metadata.Name)
	text, err := json.Marshal(there.Spec)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"imagePullSecrets":[{"name":"registry"}],"nodeSelector":{"disk":"ssd"},"tolerations":[{"key":"k"}],"affinity":{"nodeAffinity":{"x":1}}`)
	text, err = json.Marshal(plain.Spec)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "affinity")
}
