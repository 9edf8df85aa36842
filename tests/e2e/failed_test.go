//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// failed is where stories failed, and why.
var failed struct {
	sync.Mutex
	all []string
}

// TestMain tells it again in the last lines, which may be all that is kept of a long log.
func TestMain(m *testing.M) {
	code := m.Run()
	for _, why := range failed.all {
		fmt.Println(why)
	}
	os.Exit(code)
}

// listener is testscript's view of a test. It keeps what a story says of its own failure.
type listener struct{ *testing.T }

func (l listener) Verbose() bool { return testing.Verbose() }

func (l listener) Run(name string, story func(testscript.T)) {
	l.T.Run(name, func(t *testing.T) { story(listener{t}) })
}

func (l listener) Log(all ...any) {
	l.Helper()
	l.T.Log(all...)
	if _, why, is := strings.Cut("\n"+fmt.Sprint(all...), "\nFAIL: "); is {
		failed.Lock()
		defer failed.Unlock()
		failed.all = append(failed.all, strings.TrimSpace(l.Name()+": "+why))
	}
}
