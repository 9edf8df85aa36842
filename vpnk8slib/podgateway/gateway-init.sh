#!/bin/bash
# Lays the gateway's own drop rules, then its end of the overlay. It always ends, within 30 s, and with success: the rules
# come first, and where they cannot be laid the pod loses its way out instead.
laid=yes
for v in "" 6; do
  "ip${v}tables-restore" -w 5 --noflush < "/config/drop${v:-4}.rules" || laid=no
  for hook in "PREROUTING VPNK8S-IN" "FORWARD VPNK8S-FWD" "POSTROUTING VPNK8S-OUT"; do
    # shellcheck disable=SC2086
    set -- $hook
    "ip${v}tables" -w 5 -t mangle -C "$1" -j "$2" 2>/dev/null || "ip${v}tables" -w 5 -t mangle -I "$1" 1 -j "$2" || laid=no
  done
done
if [ $laid = no ]; then
  echo "cannot lay the drop rules: taking the default routes away" >&2
  while ip route del default 2>/dev/null; do :; done
  while ip -6 route del default 2>/dev/null; do :; done
fi
timeout 25 /bin/gateway_init.sh || echo "the overlay could not be set up: nothing is forwarded" >&2
exit 0
