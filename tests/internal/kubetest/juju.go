package kubetest

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// Juju does for one application what Juju does, by Juju's own code.
func (s *Server) Juju(t testing.TB, namespace, app, what string, flags ...string) {
	t.Helper()
	args := append([]string{"-kubeconfig=" + s.Kubeconfig, "-namespace=" + namespace, "-app=" + app}, flags...)
	out, err := exec.Command(s.jujus, append(args, what)...).CombinedOutput()
	require.NoError(t, err, "juju %s: %s", what, out)
}
