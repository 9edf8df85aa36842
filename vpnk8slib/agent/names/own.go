package names

import (
	"context"
	"net"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/guard"
	"github.com/charmarr/charmarr-go/vpnk8slib/agent/route"
)

// Own is what the agent itself looks names of the cluster up by: the guard leads its questions nowhere, and they need no agent.
var Own = net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{Control: route.Marked(guard.Ztunnel)}).DialContext(ctx, network, address)
}}
