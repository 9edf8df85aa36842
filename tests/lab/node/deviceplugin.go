package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	plugin "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// tunPlugin is a device plugin that hands out /dev/net/tun, as clusters have it whose gateways are not privileged.
type tunPlugin struct {
	plugin.UnimplementedDevicePluginServer
}

const tunDevice = "/dev/net/tun"

// devicePlugin serves one under a resource's name until it is killed. A kubelet that starts removes every plugin's socket, and knows
// none of them any more: the plugin registers anew.
func devicePlugin(resource string) error {
	socket := filepath.Join(plugin.DevicePluginPath, "tun.sock")
	for {
		if err := serve(socket, resource); err != nil {
			fmt.Fprintln(os.Stderr, "device-plugin:", err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// serve serves for as long as the socket is there.
func serve(socket, resource string) error {
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	plugin.RegisterDevicePluginServer(server, tunPlugin{})
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	if err := register(filepath.Base(socket), resource); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(socket); err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func register(endpoint, resource string) error {
	conn, err := grpc.NewClient("unix://"+plugin.KubeletSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = plugin.NewRegistrationClient(conn).Register(ctx, &plugin.RegisterRequest{Version: plugin.Version, Endpoint: endpoint, ResourceName: resource})
	return err
}

func (tunPlugin) GetDevicePluginOptions(context.Context, *plugin.Empty) (*plugin.DevicePluginOptions, error) {
	return &plugin.DevicePluginOptions{}, nil
}

// ListAndWatch has the device for as many containers as a node has pods.
func (tunPlugin) ListAndWatch(_ *plugin.Empty, stream grpc.ServerStreamingServer[plugin.ListAndWatchResponse]) error {
	var all []*plugin.Device
	for i := range 110 {
		all = append(all, &plugin.Device{ID: fmt.Sprint("tun", i), Health: plugin.Healthy})
	}
	if err := stream.Send(&plugin.ListAndWatchResponse{Devices: all}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

func (tunPlugin) Allocate(_ context.Context, request *plugin.AllocateRequest) (*plugin.AllocateResponse, error) {
	response := &plugin.AllocateResponse{}
	for range request.ContainerRequests {
		response.ContainerResponses = append(response.ContainerResponses, &plugin.ContainerAllocateResponse{
			Devices: []*plugin.DeviceSpec{{ContainerPath: tunDevice, HostPath: tunDevice, Permissions: "rw"}},
		})
	}
	return response, nil
}
