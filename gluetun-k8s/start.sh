#!/bin/sh
# Starts gluetun on clean ground. After a crash its routing rules are still there, and with them it never comes up again.
iptables -P FORWARD DROP || exit 1
ip6tables -P FORWARD DROP 2>/dev/null # fails where there is no IPv6
for family in -4 -6; do
  while ip $family rule del table 51820 2>/dev/null; do :; done
done
# The tunnel's first packet brings the charm a hook. What comes later the check tells; it is silent about a beginning.
(
  (
    until /charm-probe.sh; do sleep 1; done
    /charm/bin/pebble notify vpn.charmarr.io/tunnel
  ) &
)
exec /gluetun-entrypoint
