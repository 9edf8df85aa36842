package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
)

// User and Password are the only user's, who may do everything. The lab is reached from its own network alone.
const (
	User     = "admin"
	Password = "admin"
)

// WriteStore writes the files by which the juju program knows this controller, for JUJU_DATA. public-clouds.yaml is
// there so that its first run does not look for one on the internet.
func (s *Server) WriteStore(dir string) error {
	indented := "      " + strings.ReplaceAll(strings.TrimSpace(s.CACert), "\n", "\n      ")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the juju program's folder: %w", err)
	}
	for name, text := range map[string]string{
		"controllers.yaml": fmt.Sprintf("controllers:\n  lab:\n    uuid: %s\n    api-endpoints: ['%s']\n    ca-cert: |\n%s\n    cloud: lab\n    type: kubernetes\n    agent-version: %s\ncurrent-controller: lab\n",
			s.Controller.UUID, strings.Join(s.Addresses, "', '"), indented, model.Version),
		"accounts.yaml":      fmt.Sprintf("controllers:\n  lab:\n    user: %s\n    password: %s\n    last-known-access: superuser\n", User, Password),
		"public-clouds.yaml": "clouds: {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("cannot write the juju program's %s: %w", name, err)
		}
	}
	return nil
}
