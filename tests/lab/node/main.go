// Command hk is every Kubernetes program of the lab's node in one static binary, upstream's code unmodified: one build and
// one file in place of six. The first argument, or the name it is called by, chooses.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	name := filepath.Base(os.Args[0])
	if name == "hk" {
		if len(os.Args) < 2 {
			usage()
		}
		name, os.Args = os.Args[1], os.Args[1:]
	}
	os.Args[0] = name
	switch name {
	case "control-plane":
		controlPlane(os.Args[1:])
	case "kubelet":
		os.Exit(cli.Run(kubelet.NewKubeletCommand(context.Background())))
	case "kube-proxy":
		os.Exit(cli.Run(proxy.NewProxyCommand()))
	case "device-plugin":
		if len(os.Args) != 2 {
			usage()
		}
		fmt.Fprintln(os.Stderr, devicePlugin(os.Args[1]))
		os.Exit(1)
	case "kubectl":
		os.Exit(cli.Run(kubectl.NewDefaultKubectlCommand()))
	default:
		usage()
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, `usage: hk control-plane ETCD-DIR ETCD-PORT -- API-SERVER-FLAGS [-- CONTROLLER-MANAGER-FLAGS -- SCHEDULER-FLAGS]
       hk device-plugin RESOURCE
       hk kubelet|kube-proxy|kubectl [FLAG ...]`)
	os.Exit(2)
}
