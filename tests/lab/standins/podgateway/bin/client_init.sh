#!/bin/bash
# Stand-in for pod-gateway's client_init.sh: the steps of its contract in their order, and its way of failing.
set -e
. /default_config/settings.sh
. /config/settings.sh

if ip link show vxlan0 >/dev/null 2>&1; then
  ip link del vxlan0
else
  first_gateway=$(ip -4 route show default | awk '{ print $3; exit }')
  for cidr in $NOT_ROUTED_TO_GATEWAY_CIDRS; do
    ip route add "$cidr" via "$first_gateway" || true
  done
fi
ip route del default || true
ip -6 route del default || true

# Nothing may be reachable now.
if ping -c 1 -W 2 8.8.8.8 >/dev/null 2>&1; then
  echo "the world still answers" >&2
  exit 255
fi

address=$(dig +short "$GATEWAY_NAME" "@${K8S_DNS_IPS%% *}")
if [ -n "${first_gateway:-}" ]; then
  ip route add "$address" via "$first_gateway"
fi
ping -c "$CONNECTION_RETRY_COUNT" -W 10 "$address" >/dev/null

ip link add vxlan0 type vxlan id "$VXLAN_ID" dev eth0 dstport "$VXLAN_PORT"
bridge fdb append 00:00:00:00:00:00 dst "$address" dev vxlan0
ip link set vxlan0 up

# The first label of the host's name up to its first hyphen is looked up among the fixed addresses.
name=$(hostname)
octet=$(awk -v n="${name%%-*}" '$1 == n { print $2; exit }' /config/nat.conf)
if [ -n "$octet" ]; then
  ip addr add "$VXLAN_IP_NETWORK.$octet/24" dev vxlan0
  ip route add default via "$VXLAN_IP_NETWORK.1" dev vxlan0
else
  udhcpc -i vxlan0 -n -q -s /bin/udhcpc-script
fi
ping -c "$CONNECTION_RETRY_COUNT" -W 10 "$VXLAN_IP_NETWORK.1" >/dev/null
echo "the gateway answers over the overlay"
