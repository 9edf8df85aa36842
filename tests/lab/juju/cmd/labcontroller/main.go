// Command labcontroller is the lab's Juju controller: Juju's RPC over models in memory, for the unmodified juju program
// and the real unit agents, with applications as StatefulSets by Juju's own builder.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/charmarr/charmarr-go/tests/lab/juju/model"
	"github.com/charmarr/charmarr-go/tests/lab/juju/provision"
	"github.com/charmarr/charmarr-go/tests/lab/juju/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "labcontroller:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	listen := flag.String("listen", "127.0.0.1:17070", "address and port to serve on; agents and users are told to come here")
	kubeconfig := flag.String("kubeconfig", "", "the cluster's administrator")
	data := flag.String("juju-data", "", "folder to write the juju program's files into (its JUJU_DATA)")
	state := flag.String("state-dir", "", "folder for uploaded charms")
	operator := flag.String("operator-image", "", "image with Juju's agent")
	base := flag.String("charm-base-image", "", "image that charms run in")
	trace := flag.String("trace", "", "file for a line of every call")
	flag.Parse()
	for _, f := range []string{*kubeconfig, *data, *state, *operator, *base} {
		if f == "" {
			return errors.New("every option but -listen and -trace is needed; see: labcontroller -h")
		}
	}
	charms := filepath.Join(*state, "charms")
	if err := os.MkdirAll(charms, 0o700); err != nil {
		return fmt.Errorf("cannot make the folder for charms: %w", err)
	}
	var calls io.Writer
	if *trace != "" {
		file, err := os.Create(*trace)
		if err != nil {
			return fmt.Errorf("cannot write the trace: %w", err)
		}
		defer file.Close()
		calls = file
	}
	controller := model.New()
	front, err := server.New(server.Settings{Controller: controller, Addresses: []string{*listen}, Charms: charms, Trace: calls})
	if err != nil {
		return err
	}
	cluster, err := provision.New(controller, provision.Settings{
		Kubeconfig: *kubeconfig, ControllerUUID: controller.UUID, ControllerAddresses: []string{*listen}, CACert: front.CACert,
		OperatorImage: *operator, CharmBaseImage: *base, Log: log.Printf,
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	if err := front.WriteStore(*data); err != nil {
		return err
	}
	log.Printf("serving on %s", *listen)
	ended := make(chan error, 2)
	go func() { ended <- front.Serve(listener) }()
	go func() { ended <- cluster.Run(ctx) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	return errors.Join(err, front.Close(context.WithoutCancel(ctx)))
}
