#!/bin/sh
# Ends with 0 while a packet comes back through the tunnel. Some providers answer no ping, so a connection counts as well:
# beside the tunnel none gets out of this pod. All targets at once: a silent one takes two seconds, and then the check
# gives up.
[ -d /sys/class/net/tun0 ] || exit 1
try() {
  # What is bound to an interface needs no route there; gluetun's own packets do, and by pod-gateway clients' too. They have gone when the
  # interface was down for a moment.
  ip route get "$1" | grep -q 'dev tun0 ' || return 1
  ping -c 1 -W 1 -I tun0 "$1" || nc -z -w 1 "$1" "$2"
}
tries=
for target in TARGETS; do
  # shellcheck disable=SC2086
  try $target >/dev/null 2>&1 &
  tries="$tries $!"
done
for t in $tries; do
  wait "$t" && exit 0
done
exit 1
