package node

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

// JujuData is the folder by which the juju program knows the lab's controller.
func JujuData(lab where.Lab) string { return lab.Path("juju-data") }

// startController starts the lab's Juju controller in the node's namespaces, so that it ends with them.
func startController(ctx context.Context, lab where.Lab) error {
	log, err := os.Create(lab.Path("log", "controller.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd, err := Enter(context.WithoutCancel(ctx), lab, lab.Program("labcontroller"), "-listen", where.Controller, "-kubeconfig", lab.Path("pki", "admin.kubeconfig"),
		"-juju-data", JujuData(lab), "-state-dir", lab.Path("controller"), "-trace", lab.Path("log", "calls.log"),
		"-operator-image", where.OperatorImage, "-charm-base-image", where.CharmBaseImage)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start the Juju controller: %w", err)
	}
	go func() { _ = cmd.Wait() }() // how it ended is in its log
	if err := wait(ctx, 30*time.Second, func() error { return Juju(ctx, lab, "models").Run() }); err != nil {
		return fmt.Errorf("the Juju controller does not answer: %w; see: lab logs controller", err)
	}
	return nil
}
