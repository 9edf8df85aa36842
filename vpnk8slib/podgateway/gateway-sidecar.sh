#!/bin/bash
# Serves addresses to clients, for ever: the image's own program ends with the first thing that does. Beside that, it lays
# what the kubelet brings anew of the cluster's networks, and once a minute what somebody may have taken away.
. /config/direct.sh
. /config/drop.sh
trap 'exit 0' TERM # as the first process it would be ignored, and the pod's end wait thirty seconds
set -m             # what is started here has a process group of its own
# reopen gives back the way out that the init container took away because the rules could not be laid in time.
reopen() {
  local way
  ip -4 route show default | grep -q "dev eth0" && return
  way=$(way_out 4)
  # shellcheck disable=SC2086
  [ -z "$way" ] || ip -4 route replace default $way
}
(
  laid= round=0
  while :; do
    direct
    rules=$(cat /config/drop4.rules /config/drop6.rules)
    if { [ "$rules" != "$laid" ] || [ $((round % 6)) = 0 ]; } && drop_rules; then
      laid=$rules
      reopen
    fi
    round=$((round + 1))
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
