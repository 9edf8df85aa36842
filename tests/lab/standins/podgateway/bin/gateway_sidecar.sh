#!/bin/bash
# Stand-in for pod-gateway's gateway_sidecar.sh: hands out addresses and answers names on vxlan0, until dnsmasq ends.
set -e
. /default_config/settings.sh
. /config/settings.sh
cp /etc/resolv.conf "$RESOLV_CONF_COPY"
dnssec=()
[ "$GATEWAY_ENABLE_DNSSEC" != true ] || dnssec=(--dnssec)
exec dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --pid-file= --interface=vxlan0 --bind-interfaces --log-facility=- \
  --resolv-file="$RESOLV_CONF_COPY" --dhcp-range="$VXLAN_IP_NETWORK.$VXLAN_GATEWAY_FIRST_DYNAMIC_IP,$VXLAN_IP_NETWORK.254,12h" \
  --dhcp-leasefile=/tmp/leases "${dnssec[@]}"
