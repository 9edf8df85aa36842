// Package nft lays tables of rules by netlink: there is no nft to call in the agent's image. It has words for what the agent
// says and no others.
package nft

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Transaction collects what Commit then makes true at once, or not at all.
type Transaction struct {
	conn *nftables.Conn
	name string            // of every table in it
	kept map[string]uint64 // packets counted so far
	err  error
}

// room is what one transaction may take on its way, and the kernel's answers, in bytes. It goes there as a whole, and each of its messages is
// answered before any answer is read: hundreds, for which a socket has no room by itself.
const room = 4 << 20

// Begin starts one for the tables of a name: nobody else's is touched. Their counters go on.
func Begin(name string) (*Transaction, error) {
	conn, err := nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		_, _ = c.SetWriteBuffer(room), c.SetReadBuffer(room) // what does not fit without it Commit says
		return nil
	}))
	if err != nil {
		return nil, err
	}
	kept, err := Counters(name)
	return &Transaction{conn: conn, name: name, kept: kept}, err
}

// Commit makes it true.
func (t *Transaction) Commit() error { return errors.Join(t.err, t.conn.Flush()) }

// Table begins a table anew, whatever was in it.
func (t *Transaction) Table(f nftables.TableFamily, counters ...string) *nftables.Table {
	table := t.Delete(f)
	t.conn.AddTable(table)
	for _, c := range counters {
		t.conn.AddObj(&nftables.CounterObj{Table: table, Name: c, Packets: t.kept[c]})
	}
	return table
}

// Delete takes a table away, if it is there.
func (t *Transaction) Delete(f nftables.TableFamily) *nftables.Table {
	table := &nftables.Table{Name: t.name, Family: f}
	t.conn.AddTable(table) // what is not there cannot be deleted
	t.conn.DelTable(table)
	return table
}

// Remove takes the tables of a name away, and nobody else's.
func Remove(name string) error {
	t, err := Begin(name)
	if err != nil {
		return err
	}
	for _, f := range Tables {
		t.Delete(f)
	}
	return t.Commit()
}

// Chain adds a chain with its rules, or more rules to it.
func (t *Transaction) Chain(c *nftables.Chain, rules ...Words) {
	t.conn.AddChain(c)
	for _, r := range rules {
		t.conn.AddRule(&nftables.Rule{Table: c.Table, Chain: c, Exprs: r})
	}
}

// Set adds a set of a kind, with its elements.
func (t *Transaction) Set(table *nftables.Table, name string, of nftables.SetDatatype, s nftables.Set, elements []nftables.SetElement) *nftables.Set {
	s.Table, s.Name, s.KeyType = table, name, of
	t.err = errors.Join(t.err, t.conn.AddSet(&s, elements))
	return &s
}

// Ports adds a set of ports.
func (t *Transaction) Ports(table *nftables.Table, name string, ports ...uint16) *nftables.Set {
	var elements []nftables.SetElement
	for _, p := range ports {
		elements = append(elements, nftables.SetElement{Key: binary.BigEndian.AppendUint16(nil, p)})
	}
	return t.Set(table, name, nftables.TypeInetService, nftables.Set{}, elements)
}

// Families are both, with what their sets are made of.
var Families = []struct {
	Number byte
	Name   string
	Kind   nftables.SetDatatype
	Has    func(netip.Addr) bool
}{
	{unix.NFPROTO_IPV4, "4", nftables.TypeIPAddr, netip.Addr.Is4},
	{unix.NFPROTO_IPV6, "6", nftables.TypeIP6Addr, netip.Addr.Is6},
}

// Tables are the families of tables that are laid here.
var Tables = []nftables.TableFamily{nftables.TableFamilyINet, nftables.TableFamilyNetdev}

// Counters reads the counters of the tables of a name, in packets; none where there is no such table.
func Counters(name string) (map[string]uint64, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	for _, f := range Tables {
		objects, err := conn.GetObjects(&nftables.Table{Name: name, Family: f})
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			if c, ok := o.(*nftables.CounterObj); ok {
				out[c.Name] = c.Packets
			}
		}
	}
	return out, nil
}
