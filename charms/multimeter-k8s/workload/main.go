// Command multimeter is the workload of the multimeter charm: an HTTP echo, and single probes that each print one JSON
// object. It needs nothing but its own binary in the image.
//
//	multimeter serve   [-listen :8080]
//	multimeter fetch   [-family any] [-timeout 5s] URL
//	multimeter resolve [-family any] [-timeout 5s] [-server ip:53] NAME
//	multimeter routes
//	multimeter over    INTERFACE
//	multimeter listen  [-for 10s] PORT
//	multimeter help
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

const usage = `usage: multimeter COMMAND

  serve   [-listen :8080]                              answer every request with the caller's address
  fetch   [-family any|4|6] [-timeout 5s] URL          get a URL; print the answer, or what failed and how
  resolve [-family any|4|6] [-timeout 5s] [-server A]  NAME
                                                       look a name up, with the system's resolver or at one server
  routes                                               print interfaces, addresses and routes
  over    INTERFACE                                    exit with 0 when a route leaves by that interface
  listen  [-for 10s] PORT                              print who connects (TCP) or sends (UDP)
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("cannot run without a command\n%s", usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	listen := flags.String("listen", ":8080", "address to serve on")
	family := flags.String("family", "any", "address family: any, 4 or 6")
	timeout := flags.Duration("timeout", 5*time.Second, "how long the whole probe may take")
	server := flags.String("server", "", "DNS server to ask, host:port")
	period := flags.Duration("for", 10*time.Second, "how long to listen")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch *family {
	case "any", "4", "6":
	default:
		return fmt.Errorf("cannot use family %q: any, 4 or 6", *family)
	}
	argument, err := argumentOf(args[0], flags.Args())
	if err != nil {
		return err
	}
	var result any
	switch args[0] {
	case "serve":
		return serve(*listen)
	case "fetch":
		result = fetch(argument, *family, *timeout)
	case "resolve":
		result = resolve(argument, *family, *server, *timeout)
	case "routes":
		result, err = routes("/proc/net")
	case "over":
		return leavesBy(argument, "/proc/net")
	case "listen":
		result, err = listenOn(argument, *period)
	case "help", "-h", "--help":
		fmt.Print(usage)
		return nil
	default:
		return fmt.Errorf("cannot run %q: no such command\n%s", args[0], usage)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// argumentOf checks that a command got the one argument it needs, or none.
func argumentOf(command string, rest []string) (string, error) {
	want := map[string]string{"fetch": "URL", "resolve": "NAME", "listen": "PORT", "over": "INTERFACE"}[command]
	switch {
	case want == "" && len(rest) > 0:
		return "", fmt.Errorf("cannot use %q: %s takes no argument", rest[0], command)
	case want == "":
		return "", nil
	case len(rest) != 1:
		return "", fmt.Errorf("cannot run %s: give one %s, after the flags", command, want)
	}
	return rest[0], nil
}
