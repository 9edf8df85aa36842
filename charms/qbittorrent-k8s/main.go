// Command qbittorrent-k8s is the dispatch of the qBittorrent charm.
package main

import "github.com/charmarr/charmarr-go/charms/hook"

func main() { hook.Main(hook.RunConsumer(name, container, Reconcile), actions) }

var actions = hook.ConsumerActions[Config](container, nil)
