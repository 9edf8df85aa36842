#!/bin/sh
# Starts gluetun on clean ground. After a crash its routing rules are still there, and with them it never comes up again.
iptables -P FORWARD DROP || exit 1
ip6tables -P FORWARD DROP 2>/dev/null # fails where there is no IPv6
if grep -q '^ip6tables' /iptables/post-rules.txt 2>/dev/null; then # clients' IPv6 is led into the tunnel: the kernel asks for this
  { echo 1 > /proc/sys/net/ipv6/conf/all/forwarding; } 2>/dev/null # may be written in a privileged container only; the agent tells of it
fi
# It starts OpenVPN as a process group of its own, which outlives it when it is killed, and keeps tun0.
killall -q -KILL openvpn2.5 openvpn2.6
# A port that a provider granted to an earlier start, which gluetun keeps with the token of its account: where another server has given it
# away meanwhile, up to v3.41.1 it asks for no other until that one has run out, after two months.
rm -f /gluetun/piaportforward.json
# The port, and the address that the world saw before: gluetun empties these files when its tunnel goes, and not when it is killed. The same
# again would be no change.
rm -f /tmp/gluetun/forwarded_port /tmp/gluetun/ip
for family in -4 -6; do
  # By its priority: BusyBox knows no table of gluetun's number.
  while ip $family rule del priority 101 2>/dev/null; do :; done
done
# gluetun appends its rules anew at each start. What stands there twice goes, and the way to a server, which may be another one now. Nothing
# else does: the policies are DROP since
# its first start, so that flushed chains would cut off Juju's agent, and an option over which gluetun ends before it has
# laid its rules could not be mended any more.
for v in "" 6; do
  "ip${v}tables-save" -t filter 2>/dev/null | awk '!/^-A OUTPUT -d .* --dport [0-9]+ -j ACCEPT$/ && (!/^-A/ || !seen[$0]++)' | "ip${v}tables-restore" 2>/dev/null
done
while iptables -t mangle -D FORWARD -o tun0 -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu 2>/dev/null; do :; done
# The tunnel's first packet brings the charm a hook. What comes later the check tells; it is silent about a beginning. So does each
# change of the ports that the provider grants, of which the agent beside this container tells on the loopback, and of the address that the
# world sees, which gluetun asks for when the tunnel is up, some seconds long, and writes into a file: also where there is no agent.
# Of several units one has the tunnel. One that has it no more, or whose agent was asked four times in vain, lets go here: the charm's hook
# needs Juju's controller, and a pod that is cut off has none.
several= missed=0
ask() {
  all=$(timeout 2 wget -q -O - http://127.0.0.1:4794/metrics 2>/dev/null)
  answered=$?
  case $answered$all in
    0*charmarr_vpn_gateway_holds_lease\ 0*) several=1 missed=4 ;;
    0*charmarr_vpn_gateway_holds_lease\ 1*) several=1 missed=0 ;;
    0*charmarr_vpn_gateway_holds_lease\ -1*) missed=$((missed + 1)) ;;
    0*charmarr_vpn_guard_standing*) several='' missed=0 ;; # all of it has come, and there is no lease in it
    *) missed=$((missed + 1)) ;;
  esac
  [ "$missed" -ge 4 ] && [ "$several" ] && exec /charm/bin/pebble stop gluetun
  return $answered
}
(
  (
    until /charm-probe.sh; do
      kill -0 $$ 2>/dev/null || exit # this process is gluetun by then: the next start has a loop of its own
      ask
      sleep 1
    done
    /charm/bin/pebble notify vpn.charmarr.io/tunnel
    ports= told= granted=
    while kill -0 $$ 2>/dev/null; do
      ask && ports=$(echo "$all" | grep ^charmarr_vpn_gateway_forwarded_port) # who does not answer has taken nothing back
      now=$ports$(cat /tmp/gluetun/ip 2>/dev/null)
      [ "$now" = "$told" ] || { /charm/bin/pebble notify vpn.charmarr.io/ports && told=$now; }
      # With its tunnel gluetun loses a port that it has had granted. Where it connects anew by itself it would ask for that one again, of
      # another server.
      if [ -s /tmp/gluetun/forwarded_port ]; then
        granted=1
      elif [ "$granted" ]; then
        rm -f /gluetun/piaportforward.json
        granted=
      fi
      sleep 2
    done
  ) &
)
# Of what an earlier start was told, what nobody is told any more.
given=$(env)
for file in /run/vpn-secrets/*; do
  [ "$given" ] && ! echo "$given" | grep -q "=$file\$" && rm -f "$file"
done
# It prints what it was told, shortened as far as keys go; the addresses that the subscription has, and the account that ports are granted to, in
# full. A provider's API may say no with the token that it was asked with. What is printed goes to whoever collects logs. That a server refuses
# the account it says there alone, whenever that is: the charm is brought a hook in which it reads why.
# Who reads along lives as long as it: Pebble ends both at once, and what is printed to nobody is fatal.
rm -f /tmp/charm-printed
mkfifo -m 600 /tmp/charm-printed || exit 1
(
  trap '' TERM INT
  exec awk '
    { sub(/Username: .+/, "Username: (hidden)"); gsub(/(payload|signature|token)=[^& "]+/, "(hidden)"); sub(/for (payload|data): .+/, "(hidden)") }
    hide && match($0, /[0-9a-fA-F.:]+\/[0-9]+$/) { print substr($0, 1, RSTART - 1) "(hidden)"; fflush(); next }
    { hide = /Interface addresses:/; print; fflush() }
    /AUTH_FAILED/ { system("/charm/bin/pebble notify" again " vpn.charmarr.io/login >/dev/null 2>&1"); again = " --repeat-after=5m" }'
) </tmp/charm-printed &
exec /gluetun-entrypoint >/tmp/charm-printed 2>&1
