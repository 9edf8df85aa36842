#!/bin/bash
# Serves addresses to clients, for ever: the image's own program ends with the first thing that does.
trap 'exit 0' TERM # as the first process it would be ignored, and the pod's end wait thirty seconds
while :; do
  /bin/gateway_sidecar.sh &
  wait $!
  sleep 2 &
  wait $!
done
