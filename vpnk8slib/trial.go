package vpnk8slib

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A StatefulSet's pod that cannot pull or run an image of ours is stuck, and Juju's agent, which is in it, could mend nothing any more.
// So an image is tried in a pod of its own before any template names it. What is proven is remembered by the template itself.

// Trials is what is known of images: what the application's template has, and pods that try others.
type Trials struct {
	Images     []string // that the template names: proof enough
	Containers []string // of the template
	Settings   string   // the hash of what its containers of ours are set to; empty: there are none
	Pods       []Trial
	where      where
}

// where is what the template says of nodes and registries: an image is tried as it will be used.
type where struct {
	ImagePullSecrets json.RawMessage `json:"imagePullSecrets,omitempty"`
	NodeSelector     json.RawMessage `json:"nodeSelector,omitempty"`
	Tolerations      json.RawMessage `json:"tolerations,omitempty"`
	Affinity         nodeAffinity    `json:"affinity,omitzero"`
}

// nodeAffinity leaves out what is said of other pods: the application's own pod may be among them.
type nodeAffinity struct {
	NodeAffinity json.RawMessage `json:"nodeAffinity,omitempty"`
}

// IsZero is for omitzero: a slice cannot be compared.
func (a nodeAffinity) IsZero() bool { return len(a.NodeAffinity) == 0 }

// Trial is a pod that tries an image.
type Trial struct {
	Pod    string
	Proven bool   // all that was to be tried has run, and ended with success
	Why    string // it has not, in the kubelet's one word; empty: not known yet
	Says   string // and in more
	Ended  bool   // nothing more comes of it
	Age    time.Duration
}

// trialTime is how long a trial may take, a slow registry included; after it, one that failed is made anew.
const trialTime = 10 * time.Minute

// trialLabel is on every pod of a trial, with the application's name. It bears no name label of Juju's: Juju takes every pod with one for
// a unit's, and Services and the kill switch would find it too.
const trialLabel = Domain + "trial"

// TrialError is an image that is not known to run here; nothing is made of it yet.
type TrialError struct {
	Image  string
	Option string // of the charm, that names the image
	Pod    Ref    // that tries it
	Why    string // it cannot be used, in the kubelet's one word; or podRefused; empty: it is being tried
	Says   string // and in more
	// Held: what is laid differs by more than images, and stays so. Else all but the template is laid, and the pod that runs has it.
	Held bool
}

// podRefused is why an image cannot even be tried: the API server does not take the pod. It may mean the image, by a policy for registries,
// or any pod, by a quota.
const podRefused = "PodRefused"

// refused is e where the API server refuses its pod.
func (e *TrialError) refused(pod *Object, err error) error {
	untried := *e
	untried.Why, untried.Says = podRefused, words(err.Error())
	return told(&untried, pod.Metadata.Labels[trialLabel])
}

func (e *TrialError) Error() string {
	// The command comes before the long words: of a long status `juju status` shows the beginning.
	switch e.Why {
	case "":
		return fmt.Sprintf("trying the image %s in pod %s, before this pod is made of it", e.Image, e.Pod.Name)
	case podRefused:
		return fmt.Sprintf("cannot try the image %s: allow its pod, or: juju config %s %s=<image>; %s", e.Image, application, e.Option, e.Says)
	}
	text := fmt.Sprintf("cannot use the image %s: %s: juju config %s %s=<image>", e.Image, e.Why, application, e.Option)
	if e.Says != "" {
		text += "; " + e.Says
	}
	return fmt.Sprintf("%s; see: kubectl -n %s describe pod %s", text, e.Pod.Namespace, e.Pod.Name)
}

// observeTrials reads the application's template and its trials.
func observeTrials(ctx context.Context, r Reader, a App) (t Trials, err error) {
	var set seenSet
	if err := r.Get(ctx, Ref{"StatefulSet", a.Name, a.Namespace}, &set); err != nil && !notServed(err) { // Juju may be making it anew
		return t, err
	}
	spec := set.Spec.Template.Spec
	t.Settings, t.where = set.Spec.Template.Metadata.Annotations[configHashKey], spec.where
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		t.Images, t.Containers = append(t.Images, c.Image), append(t.Containers, c.Name)
	}
	var pods list[seenTrial]
	if err := r.List(ctx, trialPods, a.Namespace, &pods); err != nil {
		return t, err
	}
	for _, p := range pods.Items {
		if p.Metadata.Labels[trialLabel] == a.Name {
			t.Pods = append(t.Pods, p.judge(time.Now()))
		}
	}
	return t, nil
}

// judge says what came of a trial. A mesh may have put a container of its own beside, which never ends.
func (p seenTrial) judge(now time.Time) Trial {
	t := Trial{Pod: p.Metadata.Name, Age: now.Sub(p.Metadata.CreationTimestamp), Ended: p.Status.Phase == "Failed"}
	ours, succeeded := 0, 0
	for _, c := range p.Status.ContainerStatuses {
		if !strings.HasPrefix(c.Name, trialPrefix) {
			continue
		}
		ours++
		waiting, ended := c.State.Waiting, c.State.Terminated
		switch {
		case ended != nil && ended.ExitCode == 0:
			succeeded++
		case ended != nil:
			t.Ended, t.Why, t.Says = true, fmt.Sprintf("%s, exit status %d", ended.Reason, ended.ExitCode), words(ended.Message)
		case waiting != nil && waiting.Reason != "" && waiting.Reason != "ContainerCreating" && waiting.Reason != "PodInitializing":
			t.Why, t.Says = waiting.Reason, words(waiting.Message)
		}
	}
	switch t.Proven = ours > 0 && succeeded == ours; {
	case t.Proven:
		t.Ended, t.Why, t.Says = true, "", ""
	case p.Metadata.DeletionTimestamp != nil:
		t.Ended, t.Why, t.Says = false, "", "" // another takes its place when it has gone
	case t.Why == "" && t.Ended: // before it ran: the node had no room, or its time was over
		t.Why, t.Says = cmp.Or(p.Status.Reason, p.Status.Phase), words(p.Status.Message)
	}
	if !t.Proven && t.Why == "" && t.Age > trialTime {
		t.Why = "it has not run yet"
		for _, c := range p.Status.Conditions {
			if c.Type == "PodScheduled" && c.Status == "False" {
				t.Says = words(c.Message)
			}
		}
	}
	return t
}

// words are a message on one line.
func words(message string) string { return strings.Join(strings.Fields(message), " ") }

const trialPrefix = "try-"

// try makes trials of the images that are not proven, and takes away those that nobody needs any more. The error is the *TrialError of
// one, first of all of one that cannot be used.
func (f fragment) try(a App, t Trials) (tries, spent Plan, err error) {
	var failed, trying *TrialError
	var needed []string
	for _, pod := range f.trials(a, t) {
		first := pod.containers[0]
		e := &TrialError{Image: first.Image, Option: first.option, Pod: pod.object.Ref(), Held: !t.sameSettings(f)}
		i := slices.IndexFunc(t.Pods, func(p Trial) bool { return p.Pod == e.Pod.Name })
		switch {
		case i < 0:
			tries = append(tries, Step{Manager: managerTrial, Apply: pod.object, trial: e})
			trying = cmp.Or(trying, e)
		case t.Pods[i].Proven:
			// Until the template has the image: with the template goes this pod, and a hook that has more to do then is cut off by the kill
			// switch in the middle, and holds the pod for its thirty seconds.
			needed = append(needed, e.Pod.Name)
		case t.Pods[i].Why == "":
			needed, trying = append(needed, e.Pod.Name), cmp.Or(trying, e)
		default:
			e.Why, e.Says, failed = t.Pods[i].Why, t.Pods[i].Says, cmp.Or(failed, e)
			if !t.Pods[i].Ended || t.Pods[i].Age <= trialTime {
				needed = append(needed, e.Pod.Name)
			}
		}
	}
	switch {
	case failed != nil:
		err = failed
	case trying != nil:
		err = trying
	}
	if len(tries) > 0 {
		tries = append(Plan{{Manager: managerTrial, Apply: trialPolicy(a)}}, tries...)
	}
	return tries, t.clear(a, needed...), err
}

// clear takes all trials away but those that are needed.
func (t Trials) clear(a App, needed ...string) (plan Plan) {
	for _, p := range t.Pods {
		if !slices.Contains(needed, p.Pod) {
			plan = append(plan, Step{Delete: Ref{"Pod", p.Pod, a.Namespace}})
		}
	}
	return plan
}

// sameSettings says whether a pod of ours, if there is one, runs by the settings of f: then nothing but an image may differ.
func (t Trials) sameSettings(f fragment) bool {
	if t.Settings == "" {
		return true
	}
	return t.Settings == f.hash() && !slices.ContainsFunc(slices.Concat(f.init, f.containers), func(c container) bool { return !slices.Contains(t.Containers, c.Name) })
}

type trialPod struct {
	object     *Object
	containers []container
}

// trials are the pods that try the images which the template does not have: one each, with a container for every use of it.
func (f fragment) trials(a App, t Trials) (pods []trialPod) {
	uses := map[string][]container{}
	var images []string
	for _, c := range slices.Concat(f.init, f.containers) {
		if c.Image == "" || slices.Contains(t.Images, c.Image) { // the template has it
			continue
		}
		if uses[c.Image] == nil {
			images = append(images, c.Image)
		}
		uses[c.Image] = append(uses[c.Image], c)
	}
	for _, image := range images {
		pods = append(pods, trialPod{trial(a, uses[image], t.where), uses[image]})
	}
	return pods
}

// trial is a pod that can do nothing to anybody: no token, no right, no network. It is named by all that is in it, because a pod does not
// change.
func trial(a App, uses []container, w where) *Object {
	spec := trialSpec{
		RestartPolicy: "Never", ActiveDeadlineSeconds: int(trialTime.Seconds()), TerminationGracePeriodSeconds: ptr(int64(1)),
		ServiceAccountName: a.Name, AutomountServiceAccountToken: ptr(false), // registries are asked in the template's name
		EnableServiceLinks: ptr(false), where: w,
	}
	for _, c := range uses {
		spec.Containers = append(spec.Containers, container{
			Name: trialPrefix + c.Name, Image: c.Image, Command: c.try, TerminationMessagePolicy: "FallbackToLogsOnError",
			SecurityContext: &securityContext{
				AllowPrivilegeEscalation: ptr(false), ReadOnlyRootFilesystem: ptr(true), RunAsNonRoot: ptr(true), RunAsUser: ptr(int64(nobody)),
				Capabilities: &capabilities{Drop: []string{"ALL"}}, SeccompProfile: &seccompProfile{"RuntimeDefault"},
			},
		})
	}
	text, err := json.Marshal(spec)
	if err != nil {
		panic(err) // texts and numbers, and what the API server wrote
	}
	pod := a.own("v1", "Pod", a.trials()+"-"+hash(map[string]string{"spec": string(text)})[:10])
	pod.Metadata.Labels = outsideTheMesh()
	pod.Metadata.Labels[trialLabel], pod.Metadata.Labels[managedLabel] = a.Name, a.labels()[managedLabel]
	pod.Spec = spec
	return pod
}

const nobody = 65534

// trialPolicy keeps trials from everything, whatever an image does instead of what it is asked. It stays when they have gone.
func trialPolicy(a App) *Object {
	policy := a.own("networking.k8s.io/v1", "NetworkPolicy", a.trials())
	policy.Spec = policySpec{PodSelector: labelSelector{map[string]string{trialLabel: a.Name}}, PolicyTypes: []string{"Ingress", "Egress"}}
	return policy
}
