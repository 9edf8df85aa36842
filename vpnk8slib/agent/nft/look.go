package nft

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
)

// Look is what the tables of a name hold, in words that differ when anything in them does; empty where there are none. What
// the sets in without hold is left out.
func Look(name string, without ...string) (string, error) {
	conn, err := nftables.New()
	if err != nil {
		return "", fmt.Errorf("cannot look at the firewall: %w", err)
	}
	var all strings.Builder
	for _, f := range Tables {
		chains, err := conn.ListChainsOfTableFamily(f)
		if err != nil {
			return "", fmt.Errorf("cannot look at the firewall: %w", err)
		}
		for _, c := range chains {
			if c.Table.Name != name {
				continue
			}
			rules, err := conn.GetRules(c.Table, c)
			if err != nil {
				return "", fmt.Errorf("cannot look at the firewall: %w", err)
			}
			fmt.Fprintf(&all, "%d %s", f, c.Name)
			for _, r := range rules {
				fmt.Fprintf(&all, " %d", r.Handle)
			}
			all.WriteByte('\n')
		}
		sets, err := elements(conn, name, f, without)
		if err != nil {
			return "", err
		}
		if all.Len() > 0 {
			all.WriteString(sets)
		}
	}
	return all.String(), nil
}

func elements(conn *nftables.Conn, name string, f nftables.TableFamily, without []string) (string, error) {
	table, err := conn.ListTableOfFamily(name, f)
	if err != nil {
		return "", nil // there is none
	}
	sets, err := conn.GetSets(table)
	if err != nil {
		return "", fmt.Errorf("cannot look at the firewall: %w", err)
	}
	all := []string{fmt.Sprintf("flags %d\n", table.Flags)} // one that is dormant holds everything still, and heeds nothing
	for _, s := range sets {
		if slices.Contains(without, s.Name) {
			continue
		}
		held, err := conn.GetSetElements(s)
		if err != nil {
			return "", fmt.Errorf("cannot look at the firewall: %w", err)
		}
		for _, e := range held {
			all = append(all, fmt.Sprintf("%s %x %t\n", s.Name, e.Key, e.IntervalEnd))
		}
	}
	slices.Sort(all) // sets come in no order of the kernel's
	return strings.Join(all, ""), nil
}

// Elements are the keys that a set of a table of both families of IP holds; none where there is no such table.
func Elements(table, set string) (map[string]bool, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, err
	}
	if _, err := conn.ListTableOfFamily(table, nftables.TableFamilyINet); err != nil {
		return nil, nil // there is none
	}
	held, err := conn.GetSetElements(&nftables.Set{Table: &nftables.Table{Name: table, Family: nftables.TableFamilyINet}, Name: set})
	if err != nil {
		return nil, fmt.Errorf("cannot look at the firewall: %w", err)
	}
	out := map[string]bool{}
	for _, e := range held {
		out[string(e.Key)] = true
	}
	return out, nil
}
