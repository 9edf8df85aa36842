// Command pack writes .charm files from charm folders, for one or more architectures, from nothing but the folder's
// charmcraft.yaml and its Go code. The same input gives the same bytes.
//
//	go run ./charms/pack -out build charms/qbittorrent-k8s gluetun-k8s
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

// budget is what one packed charm should be at most, in bytes. Packing fails where it is more: Juju copies a charm into every new pod of it.
const budget = 6_000_000

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("pack", flag.ContinueOnError)
	out := flags.String("out", "build", "folder to write <name>_<arch>.charm into")
	arches := flags.String("arch", "amd64,arm64", "architectures to build for, separated by commas")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: pack [-out build] [-arch amd64,arm64] CHARM-FOLDER...\n\nBuilds each folder's main package and packs it with what its charmcraft.yaml says.")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if err == flag.ErrHelp {
			return nil
		}
		return err
	}
	if flags.NArg() == 0 {
		return fmt.Errorf("cannot pack nothing: name at least one charm folder (see --help)")
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return fmt.Errorf("cannot make %s: %w", *out, err)
	}
	for _, dir := range flags.Args() {
		for _, arch := range strings.Split(*arches, ",") {
			path, size, err := pack(dir, arch, *out)
			if err != nil {
				return fmt.Errorf("cannot pack %s for %s: %w", dir, arch, err)
			}
			fmt.Printf("%s  %.2f MB\n", path, float64(size)/1e6)
			if size > budget {
				return fmt.Errorf("%s is over the budget of %.0f MB", path, budget/1e6)
			}
		}
	}
	return nil
}
