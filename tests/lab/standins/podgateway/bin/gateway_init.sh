#!/bin/bash
# Stand-in for pod-gateway's gateway_init.sh: the steps of its contract in their order, appended again at each run.
set -e
. /default_config/settings.sh
. /config/settings.sh

ip link del vxlan0 2>/dev/null || true
[ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || sysctl -w net.ipv4.ip_forward=1
ip link add vxlan0 type vxlan id "$VXLAN_ID" dev eth0 dstport "$VXLAN_PORT"
ip addr add "$VXLAN_IP_NETWORK.1/24" dev vxlan0
ip link set vxlan0 up
ip rule show | grep -q "suppress_prefixlength 0" || ip rule add from all lookup main suppress_prefixlength 0 preference 50
iptables -t nat -A POSTROUTING -j MASQUERADE

[ -n "$VPN_INTERFACE" ] || exit 0
while read -r name octet ports; do
  [[ -z $name || $name == \#* ]] && continue
  for p in ${ports//,/ }; do
    iptables -t nat -A PREROUTING -p "${p%%:*}" -i "$VPN_INTERFACE" --dport "${p##*:}" -j DNAT --to-destination "$VXLAN_IP_NETWORK.$octet:${p##*:}"
    iptables -A FORWARD -p "${p%%:*}" -d "$VXLAN_IP_NETWORK.$octet" --dport "${p##*:}" -j ACCEPT
  done
done < /config/nat.conf
if [ -n "$VXLAN_PORT" ]; then
  iptables -A INPUT -i eth0 -p udp --dport "$VXLAN_PORT" -j ACCEPT
  iptables -A OUTPUT -o eth0 -p udp --dport "$VXLAN_PORT" -j ACCEPT
fi
iptables -A INPUT -i vxlan0 -p udp --sport 68 --dport 67 -j ACCEPT
iptables -A FORWARD -i "$VPN_INTERFACE" -m state --state ESTABLISHED,RELATED -j ACCEPT
iptables -A FORWARD -i "$VPN_INTERFACE" -j REJECT
if [ "$VPN_BLOCK_OTHER_TRAFFIC" = true ]; then
  iptables --policy FORWARD DROP
  iptables -I FORWARD -o "$VPN_INTERFACE" -j ACCEPT
  iptables --policy OUTPUT DROP
  iptables -A OUTPUT -p udp --dport "$VPN_TRAFFIC_PORT" -j ACCEPT
  iptables -A OUTPUT -p tcp --dport "$VPN_TRAFFIC_PORT" -j ACCEPT
  for cidr in $VPN_LOCAL_CIDRS; do
    iptables -A FORWARD -d "$cidr" -j ACCEPT
    iptables -A OUTPUT -d "$cidr" -j ACCEPT
  done
  iptables -A OUTPUT -o "$VPN_INTERFACE" -j ACCEPT
  iptables -A OUTPUT -o vxlan0 -j ACCEPT
fi
gateway=$(ip -4 route show default | awk '{ print $3; exit }')
for cidr in $VPN_LOCAL_CIDRS; do
  ip route add "$cidr" via "$gateway" || true
done
