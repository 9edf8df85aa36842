package node

import (
	"fmt"
	"os"
	"os/exec"
)

// bridgeFilter makes the kernel's filter for bridged packets available: policies between pods of one node are enforced by
// it. Some kernels have it built in; where it is a module it starts switched on for this machine's own bridges too, which
// are none of the lab's business. Inside the lab it is switched on by itself.
func bridgeFilter() error {
	const folder = "/proc/sys/net/bridge"
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	if out, err := exec.Command("modprobe", "br_netfilter").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot load the kernel module br_netfilter: %w: %s", err, out)
	}
	for _, f := range []string{"bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"} {
		if err := os.WriteFile(folder+"/"+f, []byte("0"), 0o644); err != nil {
			return fmt.Errorf("cannot keep the filter from this machine's bridges: %w", err)
		}
	}
	return nil
}
