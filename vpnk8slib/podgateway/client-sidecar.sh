#!/bin/bash
# Keeps the overlay up and the pod closed, for ever. The image's own loop ends at its first failure and would leave the
# next try to the kubelet, who waits longer each time, up to five minutes.
. /config/close.sh
# The first process of a container ignores what it has no trap for, and a shell acts on one only between its commands:
# without both, the pod's end would wait thirty seconds for this.
trap 'exit 0' TERM
close_pod
(
  ip monitor route | while read -r change; do
    case $change in
      "Deleted unreachable default"*) close_pod ;;
      "Deleted "* | *unreachable*) ;; # what goes opens nothing; and acting on our own would never end
      *default* | *"/"[1-7]" "*) close_pod ;;
    esac
  done
) &
(
  while :; do
    sleep 10
    direct
  done
) &
while :; do
  have_overlay
  /bin/client_sidecar.sh &
  wait $!
  close_pod
  sleep 5 &
  wait $!
done
