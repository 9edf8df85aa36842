package main

import (
	"fmt"
	"slices"
	"strings"
)

// What gluetun does not know of an OpenVPN file it hands on to OpenVPN, which runs as root: what would run a program there, or lead its words
// elsewhere than to gluetun, is refused, and so is what leaves everything in clear text. The names are of openvpn(8), 2.5 to 2.7.
var (
	running = []string{
		"script-security", "up", "down", "route-up", "route-pre-down", "ipchange", "tls-verify", "tls-crypt-v2-verify", "auth-user-pass-verify",
		"learn-address", "client-connect", "client-disconnect", "client-crresponse", "plugin", "iproute", "dns-updown", "config",
	}
	leading = []string{
		"management", "management-client", "daemon", "inetd", "log", "log-append", "syslog", "status", "writepid", "cd", "chroot",
	}
	ciphers = []string{"cipher", "data-ciphers", "data-ciphers-fallback", "ncp-ciphers"}
)

// refusedLine says which of them a file has.
func refusedLine(text string) error {
	inside := "" // of a file within the file
	for line := range strings.Lines(text) {
		words := optionOf(line)
		switch {
		case len(words) == 0:
			continue
		case inside != "":
			if words[0] == inside {
				inside = ""
			}
			continue
		case strings.HasPrefix(words[0], "<") && words[0] != "<connection>" && words[0] != "</connection>":
			inside = "</" + words[0][1:]
			continue
		}
		var why string
		switch {
		case slices.Contains(running, words[0]):
			why = "which has OpenVPN run a program or read another file"
		case slices.Contains(leading, words[0]):
			why = "by which gluetun would not hear what OpenVPN does"
		case slices.Contains(ciphers, words[0]) && len(words) > 1 && slices.ContainsFunc(strings.Split(words[1], ":"), func(s string) bool { return s != "" && !algorithm(s) }):
			why = "by which nothing may be encrypted"
		default:
			continue
		}
		return fmt.Errorf("it has a line %s, %s: leave that line out", words[0], why)
	}
	return nil
}

// optionOf is a line's option and what follows it, as OpenVPN reads them: indented or not, in quotes, with the two dashes of a command, or
// behind "setenv opt".
func optionOf(line string) []string {
	words := strings.Fields(strings.NewReplacer(`"`, "", "'", "", `\`, "").Replace(line))
	if len(words) == 0 || strings.ContainsAny(words[0][:1], "#;") {
		return nil
	}
	if len(words) > 2 && words[0] == "setenv" && words[1] == "opt" {
		words = words[2:]
	}
	words[0] = strings.TrimPrefix(words[0], "--")
	return words
}
