#!/bin/bash
# Stand-in for pod-gateway's client_sidecar.sh: asks the gateway every 10 s, and makes the overlay anew when it is silent.
# It ends when that fails.
set -e
. /default_config/settings.sh
. /config/settings.sh
while true; do
  if ! ping -c "$CONNECTION_RETRY_COUNT" -W 10 "$VXLAN_IP_NETWORK.1" >/dev/null 2>&1; then
    echo "the gateway is silent: making the overlay anew"
    /bin/client_init.sh
  fi
  sleep 10
done
