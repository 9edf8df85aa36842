package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	cliflag "k8s.io/component-base/cli/flag"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apioptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	manageroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// controlPlane runs etcd and the API server, and where their flags are given the controller manager and the scheduler, in
// this process: half the memory and a third of the time that four programs take.
func controlPlane(args []string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	parts := [][]string{nil}
	for _, a := range args {
		if a == "--" {
			parts = append(parts, nil)
			continue
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], a)
	}
	if len(parts[0]) != 2 || (len(parts) != 2 && len(parts) != 4) {
		usage()
	}
	etcd := must(startEtcd(parts[0][0], parts[0][1]))
	defer etcd.Close()

	api := apioptions.NewServerRunOptions()
	check(parse("kube-apiserver", api.Flags(), parts[1]))
	// Before Complete, as the program's own main does: the feature gates are read from the registry.
	check(api.GenericServerRunOptions.ComponentGlobalsRegistry.Set())
	completed := must(api.Complete(ctx))
	check(errors.Join(completed.Validate()...))
	if len(parts) == 4 {
		go func() { check(runManager(ctx, parts[2])) }()
		go func() { check(runScheduler(ctx, parts[3])) }()
	}
	check(apiserver.Run(ctx, completed))
}

func startEtcd(dir, port string) (*embed.Etcd, error) {
	client, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("cannot use etcd port %q", port)
	}
	at := func(port int) []url.URL {
		return []url.URL{{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)}}
	}
	cfg := embed.NewConfig()
	cfg.Dir = dir
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = at(client), at(client)
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = at(client+1), at(client+1)
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.UnsafeNoFsync = true // a lab's data need not survive the machine
	cfg.LogLevel = "error"
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("cannot start etcd: %w", err)
	}
	<-e.Server.ReadyNotify()
	return e, nil
}

func runManager(ctx context.Context, args []string) error {
	o, err := manageroptions.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	known, disabled, aliases := manager.KnownControllers(), manager.ControllersDisabledByDefault(), manager.ControllerAliases()
	if err := parse("kube-controller-manager", o.Flags(known, disabled, aliases), args); err != nil {
		return err
	}
	c, err := o.Config(ctx, known, disabled, aliases)
	if err != nil {
		return err
	}
	return manager.Run(ctx, c.Complete())
}

func runScheduler(ctx context.Context, args []string) error {
	o := scheduleroptions.NewOptions()
	if err := parse("kube-scheduler", *o.Flags, args); err != nil {
		return err
	}
	config, s, err := scheduler.Setup(ctx, o)
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, config, s)
}

func parse(name string, sets cliflag.NamedFlagSets, args []string) error {
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	for _, f := range sets.FlagSets {
		fs.AddFlagSet(f)
	}
	return fs.Parse(args)
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "hk:", err)
		os.Exit(1)
	}
}
