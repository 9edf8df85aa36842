package mesh

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/charmarr/charmarr-go/tests/lab/internal/where"
)

const (
	label = "istio.io/dataplane-mode"
	token = "netpol" // whose token the plugin reads namespaces and pods with
)

// config is what the container runtime hands to a CNI plugin on standard input.
type config struct {
	Version  string          `json:"cniVersion"`
	Root     string          `json:"root"`
	Dir      string          `json:"dir"`
	Previous json.RawMessage `json:"prevResult"`
}

// Plugin is the last in the lab's chain of CNI plugins. It takes a pod in or leaves it as it is, and lets a pod go.
func Plugin(ctx context.Context) error {
	if os.Getenv("CNI_COMMAND") == "VERSION" {
		fmt.Println(`{"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0"]}`)
		return nil
	}
	var c config
	if err := json.NewDecoder(os.Stdin).Decode(&c); err != nil {
		return fmt.Errorf("cannot read the CNI configuration: %w", err)
	}
	lab := where.Lab{Root: c.Root, Dir: c.Dir}
	switch os.Getenv("CNI_COMMAND") {
	case "ADD":
		if err := add(ctx, lab, c.Previous); err != nil {
			return err
		}
		_, err := os.Stdout.Write(c.Previous)
		return err
	case "DEL":
		return del(lab)
	default: // CHECK: there is nothing of this plugin's that would be mended
		return nil
	}
}

func add(ctx context.Context, lab where.Lab, previous []byte) error {
	args := map[string]string{}
	for _, a := range strings.Split(os.Getenv("CNI_ARGS"), ";") {
		name, value, _ := strings.Cut(a, "=")
		args[name] = value
	}
	in, err := ambient(ctx, lab, args["K8S_POD_NAMESPACE"], args["K8S_POD_NAME"])
	if err != nil || !in {
		return err
	}
	netns := os.Getenv("CNI_NETNS")
	for v6, program := range map[bool]string{false: "iptables-restore", true: "ip6tables-restore"} {
		if err := inside(netns, rules(v6), program, "-w", "5", "--noflush"); err != nil {
			return err
		}
		family := map[bool]string{false: "-4", true: "-6"}[v6]
		everything := map[bool]string{false: "0.0.0.0/0", true: "::/0"}[v6]
		for _, line := range []string{"rule add fwmark " + replies + " priority 32764 lookup 100", "route add local " + everything + " dev lo table 100"} {
			if err := inside(netns, "", "ip", append([]string{family}, strings.Fields(line)...)...); err != nil {
				return err
			}
		}
	}
	if err := enrol(previous); err != nil {
		return err
	}
	return serve(lab, netns)
}

// inside runs a program of the node in the pod's network.
func inside(netns, input, program string, args ...string) error {
	cmd := exec.Command("nsenter", append([]string{"--net=" + netns, "--", program}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot take the pod into the mesh: %s %s: %w: %s", program, strings.Join(args, " "), err, out)
	}
	return nil
}

// enrol makes the node ask this pod for its health from Probers.
func enrol(previous []byte) error {
	var result struct{ IPs []struct{ Address string } }
	if err := json.Unmarshal(previous, &result); err != nil {
		return fmt.Errorf("cannot read the pod's addresses: %w", err)
	}
	for _, ip := range result.IPs {
		p, err := netip.ParsePrefix(ip.Address)
		if err != nil {
			return fmt.Errorf("cannot read the pod's address: %w", err)
		}
		set := "enrolled4"
		if p.Addr().Is6() {
			set = "enrolled6"
		}
		if out, err := exec.Command("nft", "add", "element", "inet", "mesh", set, "{", p.Addr().String(), "}").CombinedOutput(); err != nil {
			return fmt.Errorf("cannot enrol the pod's address: %w: %s", err, out)
		}
	}
	return nil
}

// serve starts the pod's own process and waits until it listens. It outlives this plugin, and ends with the pod or the lab.
func serve(lab where.Lab, netns string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(lab.Path("log", "mesh.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	ready, told, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	cmd := exec.Command("nsenter", "--net="+netns, "--", self, "ztunnel")
	cmd.Dir, cmd.Env = lab.Root, append(os.Environ(), "LAB_DIR="+lab.Dir)
	cmd.Stdout, cmd.Stderr = told, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = told.Close()
	if err != nil {
		return fmt.Errorf("cannot start the mesh's process of the pod: %w", err)
	}
	if err := os.WriteFile(pidFile(lab), []byte(strconv.Itoa(cmd.Process.Pid)), 0o644); err != nil {
		return err
	}
	_ = ready.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(ready, make([]byte, 1)); err != nil {
		return errors.New("the mesh's process of the pod does not listen; see: lab logs mesh")
	}
	return cmd.Process.Release()
}

func del(lab where.Lab) error {
	data, err := os.ReadFile(pidFile(lab))
	if errors.Is(err, os.ErrNotExist) {
		return nil // a pod that was never taken in
	}
	if err != nil {
		return err
	}
	if pid, err := strconv.Atoi(string(data)); err == nil {
		_ = syscall.Kill(pid, syscall.SIGKILL) // gone already is as good
	}
	return os.Remove(pidFile(lab))
}

// pidFile is named for the pod's sandbox; DEL may come twice for one, and never for another's.
func pidFile(lab where.Lab) string { return lab.Path("mesh", os.Getenv("CNI_CONTAINERID")) }

// ambient says whether a pod is to be taken in: its namespace's label says so, and its own does not say otherwise.
func ambient(ctx context.Context, lab where.Lab, namespace, pod string) (bool, error) {
	of, err := labels(ctx, lab, "namespaces/"+namespace)
	if err != nil || of[label] != "ambient" {
		return false, err
	}
	own, err := labels(ctx, lab, "namespaces/"+namespace+"/pods/"+pod)
	return own[label] != "none", err
}

// labels asks the API server; a plugin runs for every pod, and kubectl would be most of its time.
func labels(ctx context.Context, lab where.Lab, path string) (map[string]string, error) {
	ca, err := os.ReadFile(lab.Path("pki", "ca.crt"))
	if err != nil {
		return nil, err
	}
	tokens, err := os.ReadFile(lab.Path("pki", "tokens.csv"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "kubernetes"}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+where.APIServer+":6443/api/v1/"+path, nil)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(tokens)) {
		if f := strings.Split(strings.TrimSpace(line), ","); len(f) > 2 && f[2] == token {
			req.Header.Set("Authorization", "Bearer "+f[0])
		}
	}
	answer, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot read the labels of %s: %w", path, err)
	}
	defer answer.Body.Close()
	var object struct {
		Metadata struct{ Labels map[string]string }
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("cannot read the labels of %s: %s", path, answer.Status)
	}
	if err := json.NewDecoder(answer.Body).Decode(&object); err != nil {
		return nil, fmt.Errorf("cannot read the labels of %s: %w", path, err)
	}
	return object.Metadata.Labels, nil
}
