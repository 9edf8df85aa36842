#!/bin/bash
# Lays the gateway's own drop rules, then its end of the overlay. It always ends, within 30 s, and with success: the rules
# come first, and where they cannot be laid in time the pod loses its way out instead. What its agent needs stays.
. /config/close.sh
direct
timeout -k 2 14 /bin/bash -c '. /config/drop.sh; drop_rules' || {
  echo "cannot lay the drop rules: taking the default routes away" >&2
  close_pod
}
timeout -k 2 11 /bin/gateway_init.sh || echo "the overlay could not be set up: nothing is forwarded" >&2
exit 0
