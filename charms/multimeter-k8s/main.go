// Command multimeter-k8s is the dispatch of the multimeter charm.
package main

import "github.com/charmarr/charmarr-go/charms/hook"

func main() { hook.Main(hook.RunConsumer(name, container, Reconcile), actions) }
