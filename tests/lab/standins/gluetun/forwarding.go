package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"strconv"
	"strings"
)

// forwarding are the settings by which gluetun has ports of the provider's granted (settings/portforward.go).
type forwarding struct {
	on             bool
	provider       string // whose way is taken; empty: the one in use
	file           string // where the ports are told
	user, password string
}

func (r *reader) forwarding() (f forwarding) {
	f.on = r.boolean("VPN_PORT_FORWARDING", false)
	f.provider = strings.ToLower(r.get("VPN_PORT_FORWARDING_PROVIDER", ""))
	f.file = r.get("VPN_PORT_FORWARDING_STATUS_FILE", "/tmp/gluetun/forwarded_port")
	f.user = r.get("VPN_PORT_FORWARDING_USERNAME", r.get("OPENVPN_USER", ""))
	f.password = r.get("VPN_PORT_FORWARDING_PASSWORD", r.get("OPENVPN_PASSWORD", ""))
	return f
}

// validate refuses what gluetun refuses.
func (f forwarding) validate(provider string) error {
	if f.provider != "" {
		provider = f.provider
	}
	switch {
	case !f.on:
		return nil
	case !slices.Contains([]string{"perfect privacy", "private internet access", "privatevpn", "protonvpn"}, provider):
		return fmt.Errorf("VPN provider settings: port forwarding: port forwarding cannot be enabled: value is not one of the possible choices: %s", provider)
	case provider == "private internet access" && f.user == "":
		return errors.New("VPN provider settings: port forwarding: port forwarding username is empty")
	case provider == "private internet access" && f.password == "":
		return errors.New("VPN provider settings: port forwarding: port forwarding password is empty")
	}
	return nil
}

// labPorts stands in the place of the provider's API: the ports that it grants, one in each line.
var labPorts = "/lab/ports"

// forward has ports granted when the tunnel is up. What fails the first time is tried no more before the tunnel is made anew.
func (v *vpn) forward() {
	f := v.settings.forwarding
	if !f.on {
		return
	}
	log.Println("INFO [port forwarding] starting")
	data, err := os.ReadFile(labPorts)
	var ports []uint16
	for _, word := range strings.Fields(string(data)) {
		port, failed := strconv.ParseUint(word, 10, 16)
		err = errors.Join(err, failed)
		ports = append(ports, uint16(port))
	}
	if err == nil && len(ports) == 0 {
		err = errors.New("the provider grants none")
	}
	if err == nil {
		err = v.tell(ports)
	}
	if err != nil {
		log.Println("ERROR [vpn] starting port forwarding service: port forwarding for the first time:", err)
	}
}

// unforward gives them back before the tunnel goes. The file is emptied, and stays.
func (v *vpn) unforward() {
	if len(v.forwarded()) == 0 {
		return
	}
	log.Println("INFO [port forwarding] stopping")
	if err := v.tell(nil); err != nil {
		log.Println("ERROR [port forwarding] clearing port file:", err)
	}
}

// tell writes them down, without a line's end, and keeps them for the control API.
func (v *vpn) tell(ports []uint16) error {
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = fmt.Sprint(p)
	}
	err := os.WriteFile(v.settings.forwarding.file, []byte(strings.Join(words, "\n")), 0o644)
	if err != nil {
		ports = nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ports = ports
	return err
}

func (v *vpn) forwarded() []uint16 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ports
}

// portAnswer is what the control API tells of them: of one and of none in other words than of several.
func portAnswer(ports []uint16) any {
	switch len(ports) {
	case 0:
		return map[string]uint16{"port": 0}
	case 1:
		return map[string]uint16{"port": ports[0]}
	}
	return map[string][]uint16{"ports": ports}
}
