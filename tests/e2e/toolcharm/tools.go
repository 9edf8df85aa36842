package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/charmarr/charmarr-go/charms/hook"
)

var tools = []string{
	"is-leader", "config-get", "relation-ids", "relation-list", "relation-get", "relation-set", "secret-get", "secret-add",
	"secret-set", "secret-info-get", "opened-ports", "open-port", "close-port", "status-set", "juju-log",
}

// file is where a hook's last run is written down. The charm's folder lives as long as its pod.
func file(hookName string) string {
	return filepath.Join(os.Getenv("JUJU_CHARM_DIR"), "calls", filepath.Base(hookName))
}

// listen puts this program before each tool. An action is not written down: it reads what hooks did.
func listen() error {
	name := os.Getenv("JUJU_HOOK_NAME")
	if name == "" {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	before := filepath.Join(os.Getenv("JUJU_CHARM_DIR"), "before")
	for _, dir := range []string{before, filepath.Dir(file(name))} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, tool := range tools {
		if err := os.Symlink(self, filepath.Join(before, tool)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	runs := 0
	if last, err := os.ReadFile(file(name)); err == nil {
		_, _ = fmt.Sscanf(string(last), "run %d", &runs)
	}
	for name, value := range map[string]string{"TOOLS": os.Getenv("PATH"), "CALLS": file(name), "PATH": before + ":" + os.Getenv("PATH")} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return os.WriteFile(file(name), fmt.Appendf(nil, "run %d\n", runs+1), 0o600)
}

// relay is this program as a tool: it calls the real one and writes down what was said.
func relay(name string, args []string) int {
	if err := os.Setenv("PATH", os.Getenv("TOOLS")); err != nil {
		return 1
	}
	cmd := exec.Command(name, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(os.Stdout, &said), io.MultiWriter(os.Stderr, &said)
	failed := cmd.Run()
	line := strings.Join(append([]string{name}, args...), " ")
	if answer := strings.TrimSpace(said.String()); answer != "" {
		line += " -> " + answer
	}
	f, err := os.OpenFile(os.Getenv("CALLS"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 1
	}
	fmt.Fprintln(f, line)
	if f.Close() != nil || failed != nil {
		return 1
	}
	return 0
}

// calls tells what a hook's last run asked the tools.
func calls(_ context.Context, p hook.Params) (map[string]string, error) {
	params, err := hook.ReadParams[struct {
		Hook string `json:"hook"`
	}](p)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file(params.Hook))
	if err != nil {
		return nil, fmt.Errorf("cannot tell the calls of %s: that hook has not run", params.Hook)
	}
	return map[string]string{"calls": string(text)}, nil
}

// refusals asks the tools, without charms/hook, what that never asks.
func refusals(context.Context, hook.Params) (map[string]string, error) {
	c, err := hook.Config[config]()
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"third-word": ask("status-set", "active", "two", "words"),
		"newline":    ask("secret-get", strings.TrimSpace(c.Key)+"\n"),
	}, nil
}

// duplicate adds a secret under a label that is taken. The tool has nothing against it.
func duplicate(context.Context, hook.Params) (map[string]string, error) {
	return map[string]string{"said": ask("secret-add", "value=again", "--label=own")}, nil
}

func ask(name string, args ...string) string {
	out, _ := exec.Command(name, args...).CombinedOutput() // that it fails is in its words
	return strings.TrimSpace(string(out))
}
