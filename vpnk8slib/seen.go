package vpnk8slib

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What is read of the cluster, field by field, as its API spells it.

type list[T any] struct {
	Items []T `json:"items"`
}

type seenMetadata struct {
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	UID       string            `json:"uid"`
	Labels    map[string]string `json:"labels"`
}

type seenConfigMap struct {
	Metadata seenMetadata      `json:"metadata"`
	Data     map[string]string `json:"data"`
}

type seenAccount struct {
	Metadata seenMetadata `json:"metadata"`
}

type seenNode struct {
	Spec struct {
		PodCIDRs []string `json:"podCIDRs"`
	} `json:"spec"`
	Status struct {
		Addresses []struct {
			Address string `json:"address"` // a host's name, too
		} `json:"addresses"`
		Allocatable map[string]string `json:"allocatable"`
		NodeInfo    struct {
			KubeletVersion string `json:"kubeletVersion"`
		} `json:"nodeInfo"`
		DaemonEndpoints struct {
			KubeletEndpoint struct {
				Port uint16 `json:"Port"`
			} `json:"kubeletEndpoint"`
		} `json:"daemonEndpoints"`
	} `json:"status"`
}

type seenPod struct {
	Metadata seenMetadata `json:"metadata"`
	Spec     struct {
		NodeName       string          `json:"nodeName"`
		InitContainers []seenContainer `json:"initContainers"`
		Containers     []struct {
			Name      string   `json:"name"`
			Image     string   `json:"image"`
			Command   []string `json:"command"`
			Args      []string `json:"args"`
			Resources struct {
				Limits map[string]string `json:"limits"`
			} `json:"resources"`
		} `json:"containers"`
	} `json:"spec"`
	Status struct {
		HostIP string `json:"hostIP"`
	} `json:"status"`
}

type seenSet struct {
	Spec struct {
		Template struct {
			Metadata struct {
				Annotations map[string]string `json:"annotations"`
			} `json:"metadata"`
			Spec struct {
				where
				InitContainers []seenContainer `json:"initContainers"`
				Containers     []seenContainer `json:"containers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

type seenContainer struct {
	Name  string `json:"name"`
	Image string `json:"image"`
}

// seenTrial is a pod that tries an image.
type seenTrial struct {
	Metadata struct {
		seenMetadata
		CreationTimestamp time.Time  `json:"creationTimestamp"`
		DeletionTimestamp *time.Time `json:"deletionTimestamp"`
	} `json:"metadata"`
	Status struct {
		Phase      string `json:"phase"`
		Reason     string `json:"reason"`
		Message    string `json:"message"`
		Conditions []struct {
			Type    string `json:"type"`
			Status  string `json:"status"`
			Message string `json:"message"`
		} `json:"conditions"`
		ContainerStatuses []struct {
			Name  string `json:"name"`
			State struct {
				Waiting    *seenReason `json:"waiting"`
				Terminated *seenReason `json:"terminated"`
			} `json:"state"`
		} `json:"containerStatuses"`
	} `json:"status"`
}

type seenReason struct {
	ExitCode int    `json:"exitCode"` // of one that has ended
	Reason   string `json:"reason"`
	Message  string `json:"message"`
}

type seenService struct {
	Spec struct {
		ClusterIPs []string   `json:"clusterIPs"`
		Ports      []seenPort `json:"ports"`
	} `json:"spec"`
}

type seenPort struct {
	Port uint16 `json:"port"`
}

type seenEndpointSlice struct {
	Metadata  seenMetadata `json:"metadata"`
	Endpoints []struct {
		Addresses []string `json:"addresses"`
	} `json:"endpoints"`
	Ports []seenPort `json:"ports"`
}

type seenServiceCIDR struct {
	Spec struct {
		CIDRs []string `json:"cidrs"`
	} `json:"spec"`
}

// seenPool is Calico's IPPool and Cilium's CiliumNode: of either, the networks that it hands out to pods.
type seenPool struct {
	Spec struct {
		CIDR     string   `json:"cidr"`
		Disabled bool     `json:"disabled"`    // it hands out nothing any more, or never did
		Uses     []string `json:"allowedUses"` // none: all
		IPAM     struct {
			PodCIDRs []string `json:"podCIDRs"`
		} `json:"ipam"`
	} `json:"spec"`
}

type seenPolicy struct {
	Metadata seenMetadata `json:"metadata"`
	Spec     struct {
		PodSelector metav1.LabelSelector `json:"podSelector"`
		Egress      []seenRule           `json:"egress"`
	} `json:"spec"`
}

type seenRule struct {
	To []struct {
		IPBlock *ipBlock `json:"ipBlock"`
	} `json:"to"`
}
