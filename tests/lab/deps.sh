#!/bin/bash
# The one place that installs what the lab and the tests need from this machine: Debian or Ubuntu packages by name. All else
# is built from Go modules at pinned versions. Quick when everything is there.
set -euo pipefail
packages=(
  gcc libc6-dev git                           # the race detector, and the list of our files
  containerd runc containernetworking-plugins # the node's container runtime and CNI
  iptables nftables conntrack iproute2        # kube-proxy, policies, network namespaces
  util-linux procps kmod                      # nsenter, sysctl, modprobe
  qbittorrent-nox                             # the real workload, copied into an image
  busybox-static iputils-ping bash            # shells and tools inside the lab's images
  dnsmasq-base bind9-dnsutils                 # what pod-gateway's image brings
  openvpn                                     # both ends of a tunnel by it
)
want_go=1.26

fail() { echo "deps: $*" >&2; exit 1; }

command -v go >/dev/null || fail "Go is missing: install Go $want_go or newer and put it on PATH"
have=$(go env GOVERSION); have=${have#go}
[ "$(printf '%s\n' "$want_go" "$have" | sort -V | head -1)" = "$want_go" ] || fail "Go $have is too old: install $want_go or newer"

missing=()
for p in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || true)" = installed ] || missing+=("$p")
done
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || fail "this needs Debian or Ubuntu; install by other means: ${missing[*]}"
  [ "$(id -u)" = 0 ] || fail "missing packages; run as root: apt-get install ${missing[*]}"
  echo "deps: installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  again="see what it says: apt-get update && apt-get install ${missing[*]}"
  apt-get update -qq || fail "cannot read the package lists; $again"
  # Docker's own packages stand against Debian's containerd: nobody loses theirs to a test.
  goes=$(apt-get install -s --no-install-recommends "${missing[@]}" | awk '$1 == "Remv" && $2 != "busybox" { print $2 }')
  [ -z "$goes" ] || fail "installing ${missing[*]} would remove" $goes "; use a machine of its own"
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || fail "cannot install ${missing[*]}; $again"
fi
[ "$(id -u)" = 0 ] || fail "the lab makes network namespaces and mounts: run as root"
