package contract

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The validator's rule validateFn is not in what ships (charms/pack): there it panics, while a plain `go test` would let it pass.
func TestNobodyAsksForTheRuleThatDoesNotShip(t *testing.T) {
	const rule = "validateFn"
	n := 0
	for _, f := range tracked(t) {
		if filepath.Ext(f) != ".go" || f == "tests/contract/rules_test.go" || f == "charms/pack/pack.go" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(root, f))
		require.NoError(t, err)
		assert.NotContains(t, string(data), rule, f)
		n += strings.Count(string(data), `validate:"`)
	}
	assert.Positive(t, n, "rules were looked at")
}
