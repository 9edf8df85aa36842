package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What gluetun does not know of an OpenVPN file it hands on to OpenVPN, which is root: what would run a program there, or read and write
// elsewhere, is refused, and so is what leaves everything in clear text. The names are of openvpn(8), 2.5 to 2.7.
var (
	unwanted = []string{
		"script-security", "up", "down", "route-up", "route-pre-down", "ipchange", "tls-verify", "tls-crypt-v2-verify", "auth-user-pass-verify",
		"learn-address", "client-connect", "client-disconnect", "client-crresponse", "plugin", "engine", "providers", "pkcs11-providers", "iproute",
		"dns-updown", "config", "management", "management-client", "daemon", "inetd", "log", "log-append", "syslog", "status", "writepid", "cd", "chroot",
	}
	ciphers = []string{"cipher", "data-ciphers", "data-ciphers-fallback", "ncp-ciphers"}
)

var errNested = errors.New("a file within it, such as that between <ca> and </ca>, has another one's end in it")

// refusedLines says which of them a file has. Where OpenVPN may find another beginning or end of a file within the file than is found here, what
// follows is judged, or all is refused.
func refusedLines(text string) error {
	var found []string
	inside := ""
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		bare := strings.TrimSpace(line)
		switch {
		case inside != "" && bare == inside:
			inside = ""
			continue
		case inside != "" && strings.Contains(line, "</"):
			return errNested
		case inside != "":
			continue
		case strings.HasPrefix(bare, "<") && strings.HasSuffix(bare, ">") && !strings.ContainsAny(bare, " \t/") && bare != "<connection>":
			inside = "</" + bare[1:]
			continue
		}
		words := optionOf(line)
		if len(words) > 0 && !slices.Contains(found, words[0]) && (slices.Contains(unwanted, words[0]) || unencrypted(words)) {
			found = append(found, words[0])
		}
	}
	if found == nil {
		return nil
	}
	return fmt.Errorf("leave out what it has of %s: OpenVPN is root, and would run programs, read or write elsewhere, or encrypt nothing", strings.Join(found, ", "))
}

// unencrypted says whether a line would let OpenVPN go without a cipher. Those behind a question mark need not be there.
func unencrypted(words []string) bool {
	return len(words) > 1 && slices.Contains(ciphers, words[0]) && slices.ContainsFunc(strings.Split(words[1], ":"), func(s string) bool {
		s = strings.TrimPrefix(s, "?")
		return s != "" && !algorithm(s)
	})
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
