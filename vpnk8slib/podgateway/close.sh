# Read by client-init.sh and client-sidecar.sh: how a pod is closed, and stays so.
# shellcheck shell=bash disable=SC2154
. /config/settings.sh

# What answers at once where no route leads to the world. IPv4: the last resort, when the overlay's default route is gone.
# IPv6: the first of all, because this overlay carries none, and a router's advertisement brings a default at any time.
unreachable_4=4278198272
unreachable_6=1

# direct lays the routes that stay on the pod's own interface, by whatever default route there still is.
direct() {
  local family var via dev net
  for family in 4 6; do
    read -r via dev < <(ip -"$family" route show default | awk '$2 == "via" && !/vxlan0/ { for (i = 4; i < NF; i++) if ($i == "dev") { print $3, $(i + 1); exit } }')
    [ -n "$dev" ] || continue
    var=VPNK8S_DIRECT_$family
    # The node asks for this pod's health from an address of its own.
    for net in ${!var} $VPNK8S_NODE; do
      # Never in the place of the link's own network: its gateway would no longer be on the link.
      ip -"$family" route add "$net" via "$via" dev "$dev" 2>/dev/null
    done
  done
}

# close_pod removes every way to the world but the overlay's: defaults, and the halves and eighths that some lay instead.
close_pod() {
  local family metric route
  for family in 4 6; do
    metric=unreachable_$family
    ip -"$family" route replace unreachable default metric "${!metric}" 2>/dev/null
    while read -r route; do
      # shellcheck disable=SC2086
      ip -"$family" route del $route
    done < <(ip -"$family" route show | awk '
      /dev vxlan0/ || /^unreachable/ || /^f[cd]/ { next }
      $1 == "default" { print; next }
      split($1, p, "/") == 2 && p[2] < 8 { print }')
  done
  # Not every runtime lets a container refuse advertisements; the sidecar then takes the default away each time it comes,
  # for the sake of sockets that are bound to the interface.
  [ -w /proc/sys/net/ipv6/conf/eth0/accept_ra ] && echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_ra
  return 0
}

# have_overlay makes the interface where there is none. The image's script then takes it for its own earlier one, removes
# it and goes on; without it, it would look for the default route that is gone for good.
have_overlay() {
  ip link show vxlan0 >/dev/null 2>&1 || ip link add vxlan0 type vxlan id "$VXLAN_ID" dev eth0 dstport "$VXLAN_PORT"
}
