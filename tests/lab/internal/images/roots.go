package images

import (
	"context"
	"path/filepath"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// Images builds every image of which the programs are there.
func Images(ctx context.Context, lab where.Lab) error {
	for _, i := range []struct {
		image    Image
		programs map[string]string // path in the image: program
	}{
		{Image{Name: "lab.local/pause:1", Entrypoint: []string{"/pause"}}, map[string]string{"pause": "pause"}},
		{Image{Name: "lab.local/coredns:1", Entrypoint: []string{"/coredns"}}, map[string]string{"coredns": "coredns"}},
		{Image{Name: "lab.local/plain:lab", Entrypoint: []string{"/usr/bin/probe", "sleep"}}, map[string]string{"usr/bin/probe": "probe"}},
		{Image{Name: "lab.local/multimeter:lab"}, map[string]string{"usr/bin/multimeter": "multimeter", "usr/bin/probe": "probe"}},
		// What Juju's own image of that name holds, as far as a unit needs it.
		{Image{Name: "lab.local/jujud-operator:3.6.0"}, map[string]string{"opt/containeragent": "containeragent", "opt/jujuc": "jujuc", "opt/pebble": "pebble"}},
	} {
		i.image.files = map[string]string{}
		for to, program := range i.programs {
			path, err := where.Program(program)
			if err != nil {
				return err
			}
			i.image.files[filepath.Clean(to)] = path
		}
		if err := i.image.Write(); err != nil {
			return err
		}
	}
	return nil
}
