#!/bin/bash
# Serves addresses to clients, for ever: the image's own program ends with the first thing that does. Beside that, it lays
# what the kubelet brings anew of the cluster's networks.
. /config/direct.sh
. /config/drop.sh
trap 'exit 0' TERM # as the first process it would be ignored, and the pod's end wait thirty seconds
set -m             # what is started here has a process group of its own
(
  laid=
  while :; do
    direct
    rules=$(cat /config/drop4.rules /config/drop6.rules)
    if [ "$rules" != "$laid" ] && drop_rules; then
      laid=$rules
    fi
    sleep 10
  done
) &
while :; do
  /bin/gateway_sidecar.sh &
  program=$!
  wait $program
  # It waits for the first of its two children to end, and may leave the other behind.
  kill -KILL -- -$program 2>/dev/null
  sleep 2 &
  wait $!
done
