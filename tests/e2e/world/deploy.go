package world

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Info is what the lab tells of itself (`lab info`): the addresses and files that a deployment on it needs.
type Info struct {
	VPN struct {
		Endpoint  string `json:"endpoint"` // address of the provider's end
		Port      int    `json:"port"`
		OtherPort int    `json:"other_port"` // of the same server
		PublicKey string `json:"public_key"`
		User      string `json:"user"`         // of OpenVPN's
		Password  string `json:"password"`     // of the pretend provider's one account
		File      string `json:"openvpn_file"` // a client's, which it comes with instead
		// Subscriptions are of one tunnel each.
		Subscriptions []struct {
			KeyFile string `json:"key_file"` // the private key, 0600
			Address string `json:"address"`  // in the tunnel: with /32, and after a comma the same of IPv6
		} `json:"subscriptions"`
	} `json:"vpn"`
	Echo       string            `json:"echo"`       // an HTTP echo outside
	Images     map[string]string `json:"images"`     // resource name: image
	Kubeconfig string            `json:"kubeconfig"` // of the cluster's administrator, for use inside the lab
}

// Info asks the lab.
func (w World) Info(ctx context.Context) (i Info, err error) {
	out, err := w.Lab(ctx, "info")
	if err != nil {
		return i, err
	}
	if err = json.Unmarshal([]byte(out), &i); err != nil {
		err = fmt.Errorf("cannot read what the lab tells of itself: %w", err)
	}
	return i, err
}

// Deploy deploys our charms as a user does, with the lab's images in the place of those that cannot be had here.
type Deploy struct{ World }

// Charm is the packed charm's path.
func (d Deploy) Charm(name string) string {
	return filepath.Join(d.Root, "build", name+"-k8s_"+runtime.GOARCH+".charm")
}

// App deploys one of our applications, named like its charm without -k8s, trusted.
func (d Deploy) App(ctx context.Context, model, app string, more ...string) error {
	return d.As(ctx, model, app, app, more...)
}

// As deploys one of our charms under another name.
func (d Deploy) As(ctx context.Context, model, charm, app string, more ...string) error {
	info, err := d.Info(ctx)
	if err != nil {
		return err
	}
	args := []string{"deploy", "-m", model, d.Charm(charm), app, "--trust",
		"--resource", charm + "-image=" + info.Images[charm+"-image"]}
	for name, image := range info.ImageOptions() {
		args = append(args, "--config", name+"="+image)
	}
	_, err = d.Juju(ctx, append(args, more...)...)
	return err
}

// ImageOptions are the options of every charm that name an image.
func (i Info) ImageOptions() map[string]string {
	options := map[string]string{}
	for _, name := range []string{"pod-gateway-image", "vpn-agent-image"} {
		options[name] = i.Images[name]
	}
	return options
}

// GatewayOptions are gluetun's options for a subscription at the lab's provider, all but its secret.
func (i Info) GatewayOptions() map[string]string {
	return map[string]string{
		"vpn-provider":         "custom",
		"wireguard-public-key": i.VPN.PublicKey,
		"vpn-endpoint-ip":      i.VPN.Endpoint,
		"vpn-endpoint-port":    fmt.Sprint(i.VPN.Port),
		"probe-targets":        "203.0.113.2:80,203.0.113.3:80",
		"dns-resolvers":        "198.51.100.53",
		"tun-device":           "privileged",
		"custom-overrides":     "PUBLICIP_API=echoip#http://" + i.Echo,
	}
}

// anyOptions are those of them that are about neither a subscription nor the device, as arguments.
func (i Info) anyOptions() (args []string) {
	options := i.GatewayOptions()
	for _, name := range []string{"probe-targets", "dns-resolvers", "custom-overrides"} {
		args = append(args, name+"="+options[name])
	}
	return args
}

// Rekey makes what the first subscription has its secret's newest revision.
func (d Deploy) Rekey(ctx context.Context, model string, more ...string) error {
	_, err := d.putKey(ctx, model, "update-secret", 0, more...)
	return err
}

// secret is the name of the Juju secret with a subscription's key and addresses.
func secret(subscription int) string { return [...]string{"vpn-key", "second-key"}[subscription] }

func (d Deploy) putKey(ctx context.Context, model, command string, subscription int, more ...string) (string, error) {
	info, err := d.Info(ctx)
	if err != nil {
		return "", err
	}
	key, err := os.ReadFile(info.VPN.Subscriptions[subscription].KeyFile)
	if err != nil {
		return "", fmt.Errorf("cannot read the subscription's key: %w", err)
	}
	return d.Juju(ctx, append([]string{command, "-m", model, secret(subscription), "private-key=" + strings.TrimSpace(string(key)),
		"addresses=" + info.VPN.Subscriptions[subscription].Address}, more...)...)
}

// Subscribe gives a gateway one of the lab's subscriptions: its key as a secret, the grant, and options.
func (d Deploy) Subscribe(ctx context.Context, model, app string, subscription int) error {
	uri, err := d.putKey(ctx, model, "add-secret", subscription)
	if err != nil {
		return err
	}
	if _, err := d.Juju(ctx, "grant-secret", "-m", model, secret(subscription), app); err != nil {
		return err
	}
	info, err := d.Info(ctx)
	if err != nil {
		return err
	}
	args := []string{"config", "-m", model, app, "wireguard-private-key-secret=" + strings.TrimSpace(uri)}
	for name, value := range info.GatewayOptions() {
		args = append(args, name+"="+value)
	}
	_, err = d.Juju(ctx, args...)
	return err
}

// File gives a gateway the other subscription as the whole file that a provider hands out.
func (d Deploy) File(ctx context.Context, model, app string) error {
	info, err := d.Info(ctx)
	if err != nil {
		return err
	}
	uri, err := d.putFile(ctx, model, "add-secret", info, info.VPN.Port)
	if err != nil {
		return err
	}
	if _, err := d.Juju(ctx, "grant-secret", "-m", model, file, app); err != nil {
		return err
	}
	args := []string{"config", "-m", model, app, "vpn-provider=custom", "tun-device=privileged", "wireguard-private-key-secret=" + strings.TrimSpace(uri)}
	_, err = d.Juju(ctx, append(args, info.anyOptions()...)...)
	return err
}

// Refile puts another file into that secret, by which the server is at another port.
func (d Deploy) Refile(ctx context.Context, model string) error {
	info, err := d.Info(ctx)
	if err == nil {
		_, err = d.putFile(ctx, model, "update-secret", info, info.VPN.OtherPort)
	}
	return err
}

const file = "vpn-file" // the name of a Juju secret

func (d Deploy) putFile(ctx context.Context, model, command string, info Info, port int) (string, error) {
	own := info.VPN.Subscriptions[1]
	key, err := os.ReadFile(own.KeyFile)
	if err != nil {
		return "", fmt.Errorf("cannot read the subscription's key: %w", err)
	}
	text := fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = %s\n\n[Peer]\nPublicKey = %s\nAllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = %s:%d\n",
		strings.TrimSpace(string(key)), own.Address, info.VPN.PublicKey, info.VPN.Endpoint, port)
	return d.Juju(ctx, command, "-m", model, file, "config="+text)
}

// OpenVPN gives gluetun the lab's account at a provider, whose password it may have wrong: as one with a list of servers, or, for
// "custom", with the file that it hands out.
func (d Deploy) OpenVPN(ctx context.Context, model, provider, password string) error {
	info, err := d.Info(ctx)
	if err != nil {
		return err
	}
	name, words := provider+"-account", []string{"user=" + info.VPN.User, "password=" + password}
	if provider == "custom" {
		name, words = file, append(words, "config#file="+info.VPN.File)
	}
	uri, err := d.Juju(ctx, append([]string{"add-secret", "-m", model, name}, words...)...)
	if err != nil {
		return err
	}
	if _, err := d.Juju(ctx, "grant-secret", "-m", model, name, "gluetun"); err != nil {
		return err
	}
	args := []string{"config", "-m", model, "gluetun", "vpn-type=openvpn", "vpn-provider=" + provider, "openvpn-secret=" + strings.TrimSpace(uri)}
	_, err = d.Juju(ctx, append(args, info.anyOptions()...)...)
	return err
}

// Rolls counts how often the application's pod template has changed since Juju made it: its newest ControllerRevision's
// number but one. A template that comes back is numbered anew, and no revision is added for it.
func (d Deploy) Rolls(ctx context.Context, model, app string) (int, error) {
	out, err := d.Kubectl(ctx, "-n", model, "get", "controllerrevisions", "-l", "app.kubernetes.io/name="+app, "-o", "jsonpath={.items[*].revision}")
	newest := 0
	for _, f := range strings.Fields(out) {
		n, _ := strconv.Atoi(f) // Kubernetes' own
		newest = max(newest, n)
	}
	return newest - 1, err
}

// Bundle deploys one of the repository's bundles into a model of its own, with the lab's images and options laid over it.
func (d Deploy) Bundle(ctx context.Context, model, name string) error {
	info, err := d.Info(ctx)
	if err != nil {
		return err
	}
	overlay, err := d.overlay(info, name)
	if err != nil {
		return err
	}
	if _, err := d.Juju(ctx, "add-model", model); err != nil {
		return err
	}
	_, err = d.Juju(ctx, "deploy", "-m", model, "--trust", filepath.Join(d.Root, "bundles", name, "bundle.yaml"), "--overlay", overlay)
	return err
}

// overlay writes the Juju overlay that puts the lab's images in the place of those of the bundle.
func (d Deploy) overlay(info Info, name string) (string, error) {
	apps := map[string][]string{"downloads": {"gluetun", "qbittorrent"}, "core": {"multimeter"}}[name]
	type application struct {
		Resources map[string]string `json:"resources"`
		Options   map[string]string `json:"options"`
	}
	overlay := map[string]map[string]application{"applications": {}}
	for _, app := range apps {
		overlay["applications"][app] = application{map[string]string{app + "-image": info.Images[app+"-image"]}, info.ImageOptions()}
	}
	data, err := json.MarshalIndent(overlay, "", "  ") // JSON is YAML
	if err != nil {
		return "", err
	}
	path := filepath.Join(d.Root, "build", "overlay-"+name+".yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, append(data, '\n'), 0o644)
}
