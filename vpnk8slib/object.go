package vpnk8slib

// Object is one object as server-side apply takes it: a field that is not set is not claimed, so every one here may be
// left out. These are the few fields that we send; client-go's apply configurations would bring every API with them and
// make a charm twice as large (docs/decisions/007-own-objects.md).
type Object struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   Metadata          `json:"metadata"`
	Data       map[string]string `json:"data,omitempty"` // of a ConfigMap; of a Secret, in base64
	Spec       any               `json:"spec,omitempty"`
	Type       string            `json:"type,omitempty"` // of a Secret
	Rules      []rule            `json:"rules,omitempty"`
	Role       *role             `json:"roleRef,omitempty"`
	Subjects   []subject         `json:"subjects,omitempty"`
}

// Metadata is a Kubernetes ObjectMeta.
type Metadata struct {
	Name            string            `json:"name,omitempty"`
	Namespace       string            `json:"namespace,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
	OwnerReferences []owner           `json:"ownerReferences,omitempty"`
}

// Ref names the object.
func (o Object) Ref() Ref { return Ref{o.Kind, o.Metadata.Name, o.Metadata.Namespace} }

// own is an object of our own for an application: labelled, and owned so that it goes with it.
func (a App) own(version, kind, name string) *Object {
	return &Object{APIVersion: version, Kind: kind, Metadata: Metadata{
		Name: name, Namespace: a.Namespace, Labels: a.labels(), OwnerReferences: a.owner(),
	}}
}

type owner struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
}

type statefulSetSpec struct {
	Template podTemplate `json:"template"`
}

type podTemplate struct {
	Metadata Metadata `json:"metadata"`
	Spec     podSpec  `json:"spec"`
}

type podSpec struct {
	EnableServiceLinks *bool       `json:"enableServiceLinks,omitempty"`
	Volumes            []volume    `json:"volumes,omitempty"`
	InitContainers     []container `json:"initContainers,omitempty"`
	Containers         []container `json:"containers,omitempty"`
}

type trialSpec struct {
	RestartPolicy                 string      `json:"restartPolicy"`
	ActiveDeadlineSeconds         int         `json:"activeDeadlineSeconds"`
	TerminationGracePeriodSeconds *int64      `json:"terminationGracePeriodSeconds,omitempty"`
	ServiceAccountName            string      `json:"serviceAccountName"`
	AutomountServiceAccountToken  *bool       `json:"automountServiceAccountToken,omitempty"`
	EnableServiceLinks            *bool       `json:"enableServiceLinks,omitempty"`
	Containers                    []container `json:"containers"`
	where
}

type volume struct {
	Name      string         `json:"name"`
	ConfigMap *configMapName `json:"configMap,omitempty"`
	EmptyDir  *struct{}      `json:"emptyDir,omitempty"`
	Secret    *secretName    `json:"secret,omitempty"`
}

type secretName struct {
	SecretName string `json:"secretName"`
	Optional   *bool  `json:"optional,omitempty"`
}

type configMapName struct {
	Name     string `json:"name"`
	Optional *bool  `json:"optional,omitempty"`
}

type container struct {
	Name            string           `json:"name"`
	Image           string           `json:"image,omitempty"`
	Command         []string         `json:"command,omitempty"`
	Env             []envVar         `json:"env,omitempty"`
	SecurityContext *securityContext `json:"securityContext,omitempty"`
	Resources       *resourceLimits  `json:"resources,omitempty"`
	VolumeMounts    []volumeMount    `json:"volumeMounts,omitempty"`
	RestartPolicy   string           `json:"restartPolicy,omitempty"` // of an init container: Always, or none

	TerminationMessagePolicy string `json:"terminationMessagePolicy,omitempty"`

	// Not Kubernetes': a command that shows that the image can be used so, changes nothing and ends; and the option that names the image.
	try    []string
	option string
}

type resourceLimits struct {
	Limits map[string]string `json:"limits"`
}

func limited(limits map[string]string) *resourceLimits {
	if limits == nil {
		return nil
	}
	return &resourceLimits{limits}
}

type envVar struct {
	Name      string     `json:"name"`
	ValueFrom *envSource `json:"valueFrom,omitempty"`
}

type envSource struct {
	FieldRef fieldRef `json:"fieldRef"`
}

type fieldRef struct {
	FieldPath string `json:"fieldPath"`
}

type volumeMount struct {
	Name      string `json:"name"`
	MountPath string `json:"mountPath"`
	ReadOnly  bool   `json:"readOnly,omitempty"`
}

type securityContext struct {
	Privileged               *bool           `json:"privileged,omitempty"`
	AllowPrivilegeEscalation *bool           `json:"allowPrivilegeEscalation,omitempty"`
	Capabilities             *capabilities   `json:"capabilities,omitempty"`
	ReadOnlyRootFilesystem   *bool           `json:"readOnlyRootFilesystem,omitempty"`
	RunAsUser                *int64          `json:"runAsUser,omitempty"`
	RunAsNonRoot             *bool           `json:"runAsNonRoot,omitempty"`
	SeccompProfile           *seccompProfile `json:"seccompProfile,omitempty"`
}

type seccompProfile struct {
	Type string `json:"type"`
}

type capabilities struct {
	Add  []string `json:"add,omitempty"`
	Drop []string `json:"drop,omitempty"`
}

type policySpec struct {
	PodSelector labelSelector `json:"podSelector"`
	PolicyTypes []string      `json:"policyTypes"`
	Egress      []policyRule  `json:"egress,omitempty"`
}

type labelSelector struct {
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
}

type policyRule struct {
	Ports []policyPort `json:"ports,omitempty"`
	To    []policyPeer `json:"to,omitempty"`
}

type policyPort struct {
	Protocol string `json:"protocol"`
	Port     uint16 `json:"port"`
}

type policyPeer struct {
	NamespaceSelector *labelSelector `json:"namespaceSelector,omitempty"`
	IPBlock           *ipBlock       `json:"ipBlock,omitempty"`
}

type ipBlock struct {
	CIDR string `json:"cidr"`
}

type serviceSpec struct {
	ClusterIP string        `json:"clusterIP"`
	Ports     []servicePort `json:"ports"`
}

type servicePort struct {
	Port uint16 `json:"port"`
}

// rule, role and subject are those of a Role and a RoleBinding.
type rule struct {
	APIGroups     []string `json:"apiGroups"`
	Resources     []string `json:"resources"`
	ResourceNames []string `json:"resourceNames"`
	Verbs         []string `json:"verbs"`
}

type role struct {
	APIGroup string `json:"apiGroup"`
	Kind     string `json:"kind"`
	Name     string `json:"name"`
}

type subject struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

func ptr[T any](v T) *T { return &v }
