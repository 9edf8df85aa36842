#!/bin/bash
# Closes the pod, then tries the overlay once. It always ends, within 30 s, and with success: Juju's agent starts only
# after it, and an agent that does not run can repair nothing. With the gateway away the pod is closed and stays so; the
# sidecar goes on trying.
. /config/close.sh
direct
close_pod
have_overlay
timeout -k 2 25 /bin/client_init.sh || echo "no overlay yet: the pod stays closed, the sidecar goes on trying"
close_pod
exit 0
