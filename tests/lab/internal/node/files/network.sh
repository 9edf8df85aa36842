#!/bin/sh
# The lab's network, inside its own namespace: a node with an address on lo, a bridge for pods, and behind an uplink the
# pretend internet (inet) and the VPN provider (vpn). There is no way from here to the machine's own network.
set -eu
ip link set lo up
ip addr add {{.NodeIP}}/32 dev lo
ip addr add {{.NodeIP6}}/128 dev lo
ip addr add {{.APIServer}}/32 dev lo

# An address of its own: a bridge takes the lowest of its ports otherwise, changes it when a pod comes or goes, and every other
# pod then sends to a stranger, for as long as its neighbour entry lives.
ip link add pods0 address 02:00:0a:2a:00:01 type bridge
ip addr add {{.PodGateway}}/24 dev pods0
ip addr add {{.PodGateway6}}/64 dev pods0 nodad
ip link set pods0 up
# The node asks pods for their health from its own address, as with a CNI that routes; the bridge's would be on their link.
ip route replace {{.NodePods}} dev pods0 proto kernel scope link src {{.NodeIP}}

ip netns add inet
ip netns add vpn
ip link add uplink0 type veth peer name eth0 netns inet
ip addr add {{.UplinkIP}}/24 dev uplink0
ip addr add {{.UplinkIP6}}/64 dev uplink0 nodad
ip link set uplink0 up
ip link add world0 netns inet type veth peer name eth0 netns vpn
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1

# The internet: one segment with node and provider on it, and networks of which every address answers.
ip -n inet link set lo up
ip -n inet link add segment0 type bridge
ip -n inet link set eth0 master segment0 up
ip -n inet link set world0 master segment0 up
ip -n inet addr add {{.InetIP}}/24 dev segment0
ip -n inet addr add {{.Resolver}}/24 dev segment0
ip -n inet addr add {{.InetIP6}}/64 dev segment0 nodad
ip -n inet link set segment0 up
ip -n inet route add local {{.World}} dev lo
ip -n inet route add local {{.Probes}} dev lo
ip -n inet -6 route add local {{.World6}} dev lo
ip -n inet route add {{.VPNExit}}/32 via {{.VPNEndpoint}}
ip -n inet route add {{.VPNOtherExit}}/32 via {{.VPNEndpoint}}
ip -n inet route add {{.VPNExit6}}/128 via {{.VPNEndpoint6}}
ip netns exec inet sysctl -qw net.ipv6.ip_nonlocal_bind=1 net.ipv4.ip_nonlocal_bind=1

# The provider: what comes out of its tunnel leaves with the exit address.
ip -n vpn link set lo up
ip -n vpn link set eth0 up
ip -n vpn addr add {{.VPNEndpoint}}/24 dev eth0
ip -n vpn addr add {{.VPNEndpoint6}}/64 dev eth0 nodad
ip -n vpn addr add {{.VPNExit}}/32 dev lo
ip -n vpn addr add {{.VPNOtherExit}}/32 dev lo
ip -n vpn addr add {{.VPNExit6}}/128 dev lo nodad
ip netns exec vpn sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip -n vpn route add default via {{.InetIP}}
ip -n vpn route add default via {{.InetIP6}}
ip netns exec vpn nft -f - <<NFT
table inet provider {
  chain down { type filter hook input priority 0; policy accept; }
  map granted { type inet_proto . inet_service : ipv4_addr . inet_service; flags timeout; }
  chain other { type nat hook prerouting priority dstnat; udp dport {{.VPNOtherPort}} redirect to :{{.VPNPort}}; udp dport {{.OpenVPNOtherUDP}} redirect to :{{.OpenVPNUDP}}; }
  chain granted { type nat hook prerouting priority dstnat; ip daddr {{.VPNExit}} dnat ip to meta l4proto . th dport map @granted; }
  chain server { }
  chain exit { type nat hook postrouting priority srcnat; jump server; oifname eth0 ip saddr 10.2.0.0/24 snat ip to {{.VPNExit}}; oifname eth0 ip6 saddr fd10:2::/64 snat ip6 to {{.VPNExit6}}; }
}
NFT

ip route add default via {{.InetIP}}
ip -6 route add default via {{.InetIP6}}

# Pods leave the node with its address: a leak is then seen outside as coming from there.
nft -f - <<NFT
table inet lab-nat {
  chain post {
    type nat hook postrouting priority srcnat;
    oifname uplink0 ip saddr {{.PodCIDR}} masquerade
    oifname uplink0 ip6 saddr {{.PodCIDR6}} masquerade
  }
}
# Counts every packet to the world by its destination, whatever its source: where it comes out of a pod on the pod's own
# interface, and where it leaves the node, before its address is translated.
table inet uplink {
  set seen4 { type ipv4_addr; flags dynamic; size 1048576; counter; }
  set seen6 { type ipv6_addr; flags dynamic; size 1048576; counter; }
  set pod4 { type ipv4_addr; flags dynamic; size 1048576; counter; }
  set pod6 { type ipv6_addr; flags dynamic; size 1048576; counter; }
  chain pods {
    type filter hook prerouting priority -310;
    iifname pods0 ip daddr { {{.World}}, {{.Probes}} } add @pod4 { ip daddr }
    iifname pods0 ip6 daddr {{.World6}} add @pod6 { ip6 daddr }
  }
  # Who sent what leaves the node outside a VPN's own connection (to the server something else may go as well), before its address is
  # translated: by the address that it says, which may be a tunnel's or an overlay's. The node's own are left out.
  set from4 { type ipv4_addr . ipv4_addr; flags dynamic; size 1048576; counter; }
  set from6 { type ipv6_addr . ipv6_addr; flags dynamic; size 1048576; counter; }
  chain from {
    type filter hook postrouting priority 90;
    oifname uplink0 ip daddr {{.VPNEndpoint}} udp dport { {{.VPNPort}}, {{.VPNOtherPort}}, {{.OpenVPNUDP}}, {{.OpenVPNOtherUDP}} } return
    oifname uplink0 ip daddr {{.VPNEndpoint}} tcp dport {{.OpenVPNTCP}} return
    oifname uplink0 ip saddr != { {{.UplinkIP}}, {{.NodeIP}} } add @from4 { ip saddr . ip daddr }
    oifname uplink0 ip6 saddr != { ::, fe80::/10, {{.UplinkIP6}}, {{.NodeIP6}} } ip6 daddr != ff00::/8 add @from6 { ip6 saddr . ip6 daddr }
  }
  chain count {
    type filter hook postrouting priority 300;
    oifname uplink0 ip daddr { {{.World}}, {{.Probes}} } add @seen4 { ip daddr }
    oifname uplink0 ip6 daddr {{.World6}} add @seen6 { ip6 daddr }
  }
}
NFT

# The mesh's half on the node: pods that were taken in are asked for their health from ztunnel's addresses.
nft -f - <<NFT
table inet mesh {
  set enrolled4 { type ipv4_addr; }
  set enrolled6 { type ipv6_addr; }
  chain post {
    type nat hook postrouting priority srcnat - 10;
    meta skuid 0 meta l4proto tcp ip daddr @enrolled4 snat ip to 169.254.7.127
    meta skuid 0 meta l4proto tcp ip6 daddr @enrolled6 snat ip6 to fd16:9254:7127:1337:ffff:ffff:ffff:ffff
  }
}
NFT

# NetworkPolicies are enforced by sigs.k8s.io/kube-network-policies on an nfqueue. Its own rules need a kernel with
# nft_queue; these feed the queue by xtables, which every kernel here has. No bypass: a dead enforcer must not open.
for v in "" 6; do
  case $v in "") pods={{.PodCIDR}} ;; *) pods={{.PodCIDR6}} ;; esac
  ip${v}tables -t mangle -N NETPOL
  ip${v}tables -t mangle -A NETPOL -m owner --uid-owner 0 -j RETURN # the node's own: probes, exec, proxies
  ip${v}tables -t mangle -A NETPOL -s $pods -j NFQUEUE --queue-num 100
  ip${v}tables -t mangle -A NETPOL -d $pods -j NFQUEUE --queue-num 100
  ip${v}tables -t mangle -A POSTROUTING -m conntrack ! --ctstate ESTABLISHED,RELATED -j NETPOL
  ip${v}tables -t mangle -A INPUT ! -i lo -s $pods -m conntrack --ctstate NEW -j NFQUEUE --queue-num 100
done
