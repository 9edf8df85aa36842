# Read by the scripts of both ends: how a pod is closed, and stays so.
# shellcheck shell=bash disable=SC2154
. /config/settings.sh
. /config/direct.sh

# What answers at once where no route leads to the world. IPv4: the last resort, when the overlay's default route is gone.
# IPv6: the first of all, because this overlay carries none, and a router's advertisement brings a default at any time. Two
# of each: the image deletes one default route each time it connects, and where there is no other that is the first of
# these. The sidecar puts it back at once.
#
# They refuse who looks for a route. An IPv4 socket that is bound to eth0, which needs no privilege, does not depend on one:
# where its lookup fails, the kernel takes the destination to be on the link and asks the neighbours for it, and some CNIs
# answer for the whole world (proxy ARP). Nothing but the NetworkPolicy stops that one.
unreachable_4="4278198272 4278198273"
unreachable_6="1 2"

# close_pod removes every way to the world but the overlay's: defaults, and the halves and eighths that some lay instead.
close_pod() {
  local family metric refused route
  for family in 4 6; do
    refused=unreachable_$family
    for metric in ${!refused}; do
      ip -"$family" route replace unreachable default metric "$metric" 2>/dev/null
    done
    while read -r route; do
      # shellcheck disable=SC2086
      ip -"$family" route del $route
    done < <(ip -"$family" route show | awk '
      { sub(/ expires [^ ]+/, ""); gsub(/ (dead|linkdown)/, "") } # shown, but not taken back
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
