package gateway

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/charmarr/charmarr-go/vpnk8slib/agent/nft"
)

var errLetGo = errors.New("another unit may have the tunnel")

// lost says whether it is known that this pod does not have the tunnel.
func (k *Keeper) lost() bool { return k.Lost != nil && k.Lost() }

// letGo ends what this pod is for its clients, whether its configuration can be read or not: as if it had just begun, it knows nobody, and
// nothing is forwarded. What the configuration says of one that stands by is laid when it is read next.
func (k *Keeper) letGo() {
	k.wire.Close()
	k.wire, k.gateway, k.config, k.talks = nil, nil, Config{}, map[netip.Addr]*talk{}
	k.unread = errLetGo // so that it is read again
	if err := Close(); err != nil {
		k.failed(err)
		return
	}
	k.open = false
}

// Close has this pod forward nothing at all, whatever was laid in it before, and by which of its agents: who may send is nobody, and the rest
// stands, which holds.
func Close() error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	table := &nftables.Table{Name: Table, Family: nftables.TableFamilyINet}
	conn.FlushSet(&nftables.Set{Table: table, Name: pinned})
	conn.InsertRule(&nftables.Rule{Table: table, Chain: &nftables.Chain{Table: table, Name: forward}, Exprs: nft.Rule(nft.Counted(Forward), nft.Drop())})
	if err := conn.Flush(); err != nil && !errors.Is(err, unix.ENOENT) { // where there is no table, nothing is forwarded
		return fmt.Errorf("cannot let go of the clients: %w", err)
	}
	return nil
}
