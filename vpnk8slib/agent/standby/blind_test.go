package standby

import (
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/charmarr/charmarr-go/vpnk8slib/overlay"
)

// An agent starts anew in a pod that had the tunnel, and cannot read its file: what the one before it has left in force ends before another
// unit begins. In a pod that was alone it stays.
func TestAnAgentThatCannotReadItsFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, folder := &store{}, t.TempDir()
		first, second := resume(t, s, "gluetun-0", folder, true, nil), start(t, s, "gluetun-1", false, nil)
		watch(t, time.Minute, first, second)
		first.way.set(true) // it renews no more

		blind := &Keeper{Log: slog.New(slog.DiscardHandler), Pod: "gluetun-0", Folder: folder}
		blind.Resume()
		assert.False(t, blind.Lost())
		assert.Equal(t, &overlay.StandbyState{Error: errBlind.Error()}, blind.State())
		for !blind.Lost() {
			assert.False(t, second.Active())
			time.Sleep(10 * time.Millisecond)
		}
		assert.Equal(t, &overlay.StandbyState{Known: true, Error: errBlind.Error()}, blind.State(), "gluetun's start script may not take it for alone")
		watch(t, time.Minute, second, unit{Keeper: blind})
		assert.True(t, blind.Lost())
		first.stop()
		second.stop()

		blind.Follow(nil, true)
		assert.False(t, blind.Lost(), "the file says that there is no other unit any more")
		assert.NoFileExists(t, filepath.Join(folder, agreement))
		alone := &Keeper{Log: slog.New(slog.DiscardHandler), Pod: "gluetun-0", Folder: folder}
		alone.Resume()
		time.Sleep(time.Hour)
		assert.False(t, alone.Lost())
		assert.Nil(t, alone.State())
	})
}

// Nobody answers an agent that starts anew: it may have lost the lease meanwhile.
func TestAnAgentThatIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, folder := &store{}, t.TempDir()
		first := resume(t, s, "gluetun-0", folder, true, nil)
		time.Sleep(time.Second)
		assert.True(t, first.Active())
		first.way.set(true)
		first.stop()

		k := &Keeper{Log: slog.New(slog.DiscardHandler), Pod: "gluetun-0", Folder: folder}
		k.Resume()
		_, known := k.Follow(rule, true)
		assert.False(t, known || k.Lost(), "what is in force stays")
		time.Sleep(Safe)
		active, known := k.Follow(rule, true)
		assert.True(t, known && k.Lost())
		assert.False(t, active)

		k.Follow(nil, true)
		time.Sleep(time.Minute)
		_, known = k.Follow(rule, true)
		assert.False(t, known || k.Lost(), "it was alone, and has the tunnel")
		time.Sleep(hears)
		assert.True(t, k.Lost(), "the others wait no longer")
	})
	assert.Less(t, hears+90*time.Second, begins+time.Nanosecond, "the file comes a minute and a half late at most")
}
