# Read by the scripts of both ends: what a pod goes on reaching over its own interface.
# shellcheck shell=bash disable=SC2154

# Routes of ours are marked with this protocol: they are found again by it, and nobody else's are touched.
ours=118

# direct lays a route to each network of networks.sh and to the node, which asks for this pod's health from an address of
# its own, and takes away those of ours that are not listed any more. The kubelet brings a changed list to a running pod.
direct() {
  local family way list net rest
  . /config/networks.sh
  for family in 4 6; do
    way=$(way_out "$family")
    list=VPNK8S_DIRECT_$family
    [ -n "$way" ] && [ -n "${!list}" ] || continue
    list=" ${!list} $VPNK8S_NODE "
    for net in $list; do
      # Never in the place of the link's own network: its gateway would no longer be on the link.
      # shellcheck disable=SC2086
      ip -"$family" route add "$net" $way proto $ours 2>/dev/null
    done
    while read -r net rest; do
      case $list in
        *" $net "* | *" $net/32 "* | *" $net/128 "*) ;;
        *) ip -"$family" route del "$net" proto $ours ;;
      esac
    done < <(ip -"$family" route show proto $ours)
  done
}

# way_out is the next hop on the pod's own interface: that of the default route, and once that is gone, of routes of ours.
# There may be no gateway (`default dev eth0`), and one that is not on the link needs to be said so.
way_out() {
  { ip -"$1" route show default; ip -"$1" route show proto $ours; } |
    awk 'match($0, /(via [^ ]+( [^ ]+)? )?dev eth0/) { print substr($0, RSTART, RLENGTH) (/ onlink/ ? " onlink" : ""); exit }'
}
