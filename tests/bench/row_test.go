//go:build bench

package bench

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/charmarr/charmarr-go/tests/bench/internal/taken"
)

// runs is how many dispatches of each kind stand behind a median.
const runs = 9

const (
	steady     = "steady"
	tunnelDown = "tunnel-down"
)

// Budgets are those of one dispatch and of one packed charm.
type Budgets struct {
	Wall       float64 `json:"wall_s"`
	WallDown   float64 `json:"wall_s_tunnel_down"`
	CPU        float64 `json:"cpu_s"`
	RSS        float64 `json:"rss_mib"`
	Tools      int     `json:"tools"`
	ToolsEach  int     `json:"tools_per_related_application"`
	Writes     int     `json:"k8s_writes"`
	PackedSize float64 `json:"packed_mb"`
}

var budgets = Budgets{Wall: 0.1, WallDown: 2, CPU: 0.05, RSS: 20, Tools: 8, ToolsEach: 2, Writes: 0, PackedSize: 6}

var notes = []string{
	fmt.Sprintf("wall_s and cpu_s: medians of %d dispatches with nothing between the charm and its hook tools.", runs),
	"cpu_s: the dispatch process and the hook tools that it waited for. own_cpu_s: the dispatch process alone. Both are held to the one budget.",
	fmt.Sprintf("own_cpu_s, rss_mib, tools, k8s_reads: medians of %d dispatches more, with every hook tool counted. rss_mib is of the dispatch process alone.", runs),
	"machine: medians of as many runs of what no charm can do without, in the gateway's charm container. The times of a dispatch stand on it.",
	"k8s_writes: the most that any of all these dispatches did.",
}

// Row is one hook of one charm.
type Row struct {
	Charm  string   `json:"charm"`
	Hook   string   `json:"hook"`
	State  string   `json:"state"`
	Wall   float64  `json:"wall_s"`
	CPU    float64  `json:"cpu_s"`
	Own    float64  `json:"own_cpu_s"`
	RSS    float64  `json:"rss_mib"`
	Tools  int      `json:"tools"`
	Reads  int      `json:"k8s_reads"`
	Writes int      `json:"k8s_writes"`
	Wrote  []string `json:"wrote,omitempty"` // verb and address of each write
	Over   []string `json:"over,omitempty"`  // each budget that it is over
}

// row dispatches one hook again and again, measured and counted in turn.
func (b bench) row(ctx context.Context, u Unit, hook, state string) (Row, error) {
	var plain, counted []taken.Taken
	for range runs {
		for kind, to := range map[string]*[]taken.Taken{"wall": &plain, "tools": &counted} {
			one, err := b.dispatch(ctx, u, hook, kind)
			if err != nil {
				return Row{}, err
			}
			*to = append(*to, one)
		}
	}
	asked, err := b.asked(ctx, u)
	if err != nil {
		return Row{}, err
	}
	r := Row{Charm: u.App, Hook: hook, State: state,
		Wall:  round(median(plain, func(m taken.Taken) float64 { return m.Wall })),
		CPU:   round(median(plain, func(m taken.Taken) float64 { return m.CPU })),
		Own:   round(median(counted, func(m taken.Taken) float64 { return m.Own })),
		RSS:   round(median(counted, func(m taken.Taken) float64 { return m.RSS })),
		Tools: median(counted, func(m taken.Taken) int { return len(m.Tools) }),
		Reads: median(counted, func(m taken.Taken) int { reads, _ := during(asked, m); return reads }),
	}
	for _, m := range append(plain, counted...) {
		if _, wrote := during(asked, m); len(wrote) > r.Writes {
			r.Writes, r.Wrote = len(wrote), wrote
		}
	}
	r.Over = over(r, u)
	return r, nil
}

// timing is in the name of every figure that is a time.
const timing = "_s "

func over(r Row, u Unit) (over []string) {
	wall := budgets.Wall
	if r.State == tunnelDown {
		wall = budgets.WallDown
	}
	for _, c := range []struct {
		what       string
		is, budget float64
	}{
		{"wall_s", r.Wall, wall}, {"cpu_s", r.CPU, budgets.CPU}, {"own_cpu_s", r.Own, budgets.CPU}, {"rss_mib", r.RSS, budgets.RSS},
		{"tools", float64(r.Tools), float64(budgets.Tools + budgets.ToolsEach*u.Related)}, {"k8s_writes", float64(r.Writes), float64(budgets.Writes)},
	} {
		if c.is > c.budget {
			over = append(over, fmt.Sprintf("%s %v > %v", c.what, c.is, c.budget))
		}
	}
	return over
}

func median[M any, V cmp.Ordered](all []M, value func(M) V) V {
	var values []V
	for _, m := range all {
		values = append(values, value(m))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }
