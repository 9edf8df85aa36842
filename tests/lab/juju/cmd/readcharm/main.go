// Command readcharm reads packed charms with Juju's own parser, as the juju program does before it uploads one.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/juju/charm/v12"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: readcharm FILE.charm ...")
		os.Exit(2)
	}
	for _, path := range os.Args[1:] {
		if err := read(path); err != nil {
			fmt.Fprintf(os.Stderr, "cannot read %s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

// read tells what Juju makes of a charm. Without a manifest or containers it would take it for one of machines.
func read(path string) error {
	c, err := charm.ReadCharmArchive(path)
	if err != nil {
		return err
	}
	if err := charm.CheckMeta(c); err != nil {
		return err
	}
	meta := c.Meta()
	if charm.MetaFormat(c) < charm.FormatV2 || len(meta.Containers) == 0 {
		return errors.New("it is no charm for Kubernetes: no manifest.yaml with bases, or no container")
	}
	fmt.Printf("%s: %s, %d options, %d actions, bases %v\n", path, meta.Name, len(c.Config().Options), len(c.Actions().ActionSpecs), c.Manifest().Bases)
	return nil
}
