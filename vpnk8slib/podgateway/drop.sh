# Read by the gateway's scripts: how its own drop rules are laid.
# shellcheck shell=bash

# drop_rules fills our chains anew, each family in one transaction, and hangs them up where they do not hang yet. What
# cannot be laid leaves what was laid before. Where the kernel knows no IPv6 there is nothing to lay of it.
drop_rules() {
  local v hook laid=0
  for v in "" 6; do
    [ -z "$v" ] || [ -e /proc/net/if_inet6 ] || continue
    "ip${v}tables-restore" -w 5 --noflush < "/config/drop${v:-4}.rules" || laid=1
    for hook in "PREROUTING VPNK8S-IN" "INPUT VPNK8S-POD" "FORWARD VPNK8S-FWD" "POSTROUTING VPNK8S-OUT"; do
      # shellcheck disable=SC2086
      set -- $hook
      "ip${v}tables" -w 5 -t mangle -C "$1" -j "$2" 2>/dev/null || "ip${v}tables" -w 5 -t mangle -I "$1" 1 -j "$2" || laid=1
    done
  done
  return $laid
}
