package ns

import (
	"testing"

	"github.com/mdlayher/netlink"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Occupy takes away the tables of a name, of both families of IP and of interfaces, and keeps the place of the first: nobody else may lay it
// until it is given free.
func (n *NS) Occupy(t *testing.T, table string) (free func()) {
	t.Helper()
	var conn *netlink.Conn
	require.NoError(t, n.Do(t, func() (err error) {
		if conn, err = netlink.Dial(unix.NETLINK_NETFILTER, nil); err != nil {
			return err
		}
		const owned = 1 << 1 // NFT_TABLE_F_OWNER: as long as this socket is open
		named, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: unix.NFTA_TABLE_NAME, Data: []byte(table + "\x00")}})
		if err != nil {
			return err
		}
		kept, err := netlink.MarshalAttributes([]netlink.Attribute{
			{Type: unix.NFTA_TABLE_NAME, Data: []byte(table + "\x00")}, {Type: unix.NFTA_TABLE_FLAGS, Data: []byte{0, 0, 0, owned}},
		})
		if err != nil {
			return err
		}
		message := func(kind netlink.HeaderType, flags netlink.HeaderFlags, family, resource byte, data []byte) netlink.Message {
			return netlink.Message{
				Header: netlink.Header{Type: kind, Flags: netlink.Request | flags},
				Data:   append([]byte{family, unix.NFNETLINK_V0, 0, resource}, data...),
			}
		}
		const tables = unix.NFNL_SUBSYS_NFTABLES << 8
		_, err = conn.SendMessages([]netlink.Message{
			message(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil),
			message(tables|unix.NFT_MSG_DELTABLE, 0, unix.NFPROTO_INET, 0, named),
			message(tables|unix.NFT_MSG_DELTABLE, 0, unix.NFPROTO_NETDEV, 0, named),
			message(tables|unix.NFT_MSG_NEWTABLE, netlink.Create|netlink.Acknowledge, unix.NFPROTO_INET, 0, kept),
			message(unix.NFNL_MSG_BATCH_END, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil),
		})
		if err == nil {
			_, err = conn.Receive() // the answer to the one that asks for it, or what was wrong
		}
		return err
	}))
	return func() { require.NoError(t, conn.Close()) }
}
