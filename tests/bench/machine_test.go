//go:build bench

package bench

import (
	"context"

	"github.com/charmarr/charmarr-go/tests/bench/internal/taken"
)

// Machine is what to read the times against: in the same container and by the same means, what no charm can do without.
type Machine struct {
	ProcessWall float64 `json:"process_wall_s"` // a Go program that ends at once
	ProcessCPU  float64 `json:"process_cpu_s"`
	ToolWall    float64 `json:"tool_wall_s"` // Juju's own is-leader
	ToolCPU     float64 `json:"tool_cpu_s"`
}

func (b bench) machine(ctx context.Context) (m Machine, err error) {
	var process, tool []taken.Taken
	for range runs {
		for command, to := range map[string]*[]taken.Taken{inCharm + " nothing": &process, "is-leader": &tool} {
			one, err := b.taken(ctx, units[0], "wall", command)
			if err != nil {
				return m, err
			}
			*to = append(*to, one)
		}
	}
	wall, cpu := func(m taken.Taken) float64 { return m.Wall }, func(m taken.Taken) float64 { return m.CPU }
	return Machine{round(median(process, wall)), round(median(process, cpu)), round(median(tool, wall)), round(median(tool, cpu))}, nil
}
