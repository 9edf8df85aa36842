#!/bin/sh
# Ends with 0 while a packet comes back through the tunnel: of a ping that is bound to it, or, because some providers answer none, of a
# connection from its address, to which nothing could be answered beside it. All targets at once: a silent one takes two seconds, and then
# the check gives up.
[ -d /sys/class/net/tun0 ] || exit 1
try() {
  # What is bound to an interface needs no route there; gluetun's own packets do, and by pod-gateway clients' too. They have gone when the
  # interface was down for a moment.
  way=$(ip route get "$1")
  case "$way " in *' dev tun0 '*) ;; *) return 1 ;; esac
  own=${way##* src }
  ping -c 1 -W 1 -I tun0 "$1" || nc -z -w 1 -s "${own%% *}" "$1" "$2"
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
