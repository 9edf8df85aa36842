package vpnk8slib

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

var errNoWay = errors.New("no route to host")

// A drill tries before, again and again while the overlay is down, and after; and sends nothing more when something has got out.
func TestDrill(t *testing.T) {
	for _, c := range []struct {
		name  string
		leaks bool
	}{{"closed", false}, {"open", true}} {
		t.Run(c.name, func(t *testing.T) {
			var down atomic.Bool
			var meanwhile, late atomic.Int32 // late: how many fail once the overlay is up again
			answer := func(context.Context) (string, error) {
				if down.Load() {
					meanwhile.Add(1)
					if !c.leaks {
						return "nothing", errNoWay
					}
				}
				if late.Load() > 0 {
					late.Add(-1)
					return "nothing", errNoWay
				}
				return "yes", nil
			}
			d := drill{each: 2 * time.Second, agent: func(context.Context) (time.Time, error) {
				down.Store(true)
				time.AfterFunc(1200*time.Millisecond, func() { late.Store(3); down.Store(false) })
				return time.Now().Add(1200 * time.Millisecond), nil
			}}
			tried, err := d.run(t.Context(), []probe{{"tcp", "192.0.2.1:80", false, answer}, {"udp", "192.0.2.1:53", false, answer}})
			require.NoError(t, err)
			for _, one := range tried {
				assert.Equal(t, Answer{Said: "yes"}, one.Before)
				assert.Equal(t, Answer{Said: "yes"}, one.After)
				if c.leaks {
					assert.Equal(t, "yes", one.Out)
					assert.Equal(t, 1, one.Down, "what has got out is not sent again")
				} else {
					assert.Empty(t, one.Out)
					assert.Greater(t, one.Down, 1)
				}
			}
			assert.Positive(t, meanwhile.Load())
		})
	}
}

// Whatever cannot be taken down is not tried, but for what was before.
func TestNoDrillWithoutTheAgent(t *testing.T) {
	asked := 0
	d := drill{each: time.Second, agent: func(context.Context) (time.Time, error) { return time.Time{}, errors.New("it is away") }}
	_, err := d.run(t.Context(), []probe{{"tcp", "192.0.2.1:80", false, func(context.Context) (string, error) { asked++; return "yes", nil }}})
	assert.EqualError(t, err, "it is away")
	assert.Equal(t, 1, asked)
}

func TestDrilled(t *testing.T) {
	good := Tried{Kind: "tcp", To: "192.0.2.1:80", Before: Answer{Said: "yes"}, Down: 4, Why: errNoWay, After: Answer{Said: "yes"}}
	for _, c := range []struct {
		name    string
		change  func(t *Tried)
		verdict Verdict
		says    string
	}{
		{"closed", func(*Tried) {}, Pass, "192.0.2.1:80: 4 tries failed while the overlay was down (the last: no route to host); it answered before and after"},
		{"a leak", func(t *Tried) { t.Out = "a connection with 192.0.2.1:80" }, Fail, "got out while the overlay was down: a connection with 192.0.2.1:80"},
		{"nobody answered before", func(t *Tried) { t.Before = Answer{Err: errNoWay} }, Fail, "did not answer before"},
		{"nobody answers pings", func(t *Tried) { t.Mute, t.Before = true, Answer{Err: errNoWay} }, Unknown, "silence shows nothing"},
		{"a leak of what did not answer before", func(t *Tried) { t.Mute, t.Before, t.Out = true, Answer{Err: errNoWay}, "an echo" }, Fail, "got out"},
		{"no time", func(t *Tried) { t.Down = 0 }, Fail, "no time"},
		{"it stays down", func(t *Tried) { t.After = Answer{Err: errNoWay} }, Fail, "does not answer since"},
	} {
		t.Run(c.name, func(t *testing.T) {
			one := good
			c.change(&one)
			f := drilled([]Tried{one})[0]
			assert.Equal(t, c.verdict, f.Verdict)
			assert.Contains(t, f.Detail, c.says)
			assert.Equal(t, "drill-"+one.Kind, f.Check)
		})
	}
}

func TestMayDrill(t *testing.T) {
	assert.NoError(t, Pod{Agent: &overlay.Report{Client: &overlay.ClientState{}}}.MayDrill())
	for _, p := range []Pod{{}, {Agent: &overlay.Report{}}, {Agent: &overlay.Report{Gateway: &overlay.GatewayState{}}}} {
		assert.ErrorContains(t, p.MayDrill(), "routing-method=overlay")
	}
}
