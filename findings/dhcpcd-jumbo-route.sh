#!/usr/bin/env bash
# dhcpcd gives routes of IPv4 an announced packet size that the card does not take, and says nothing of it.
#
# Expected: as with router advertisements, of which dhcpcd says "advertised MTU 9000 is greater than link MTU 1500" and
#           takes 1500; or that the card is set to 9000, since the option's name is interface_mtu.
# Happens:  DHCP's option 26 with 9000 makes "default … mtu 9000" on a card of 1500. The card stays as it is, the log
#           has no word, and TCP tells its peers that segments of 8960 bytes are welcome.
# Matters:  on a network with jumbo frames everything small works: DHCP, ARP, ping, the handshake. Then peers send
#           frames that the card drops, and each connection with more than 1.4 kB of answer hangs.
# Source:   dhcpcd.conf of Debian ("Respect the network MTU. This is applied to DHCP routes."); RFC 2132, 5.1.
# Tried:    dhcpcd-base 9.4.1-24~deb12u5, dnsmasq-base 2.90, two network namespaces with a pair of virtual cards.
# Needs:    ip:iproute2 dhcpcd:dhcpcd-base dnsmasq:dnsmasq-base
set -euo pipefail
export LC_ALL=C
folder=$(mktemp -d)
server=finding-s$$ client=finding-c$$
served=
ended() {
    [ -z "$served" ] || kill "$served" 2>/dev/null || true
    for space in $server $client; do ip netns delete $space 2>/dev/null || true; done
    rm -rf "$folder"
}
trap ended EXIT
cd "$folder"

ip netns add $server
ip netns add $client
ip -n $server link add s0 type veth peer name c0 netns $client
ip -n $server address add 192.0.2.1/24 dev s0
ip -n $server link set s0 up
ip -n $client link set c0 up
ip netns exec $server dnsmasq --keep-in-foreground --user=root --conf-file=/dev/null --port=0 --interface=s0 \
    --bind-interfaces --no-ping --dhcp-authoritative --dhcp-range=192.0.2.100,192.0.2.200,255.255.255.0,600 \
    --dhcp-option=option:mtu,9000 --dhcp-leasefile="$folder/leases" --pid-file="$folder/pid" > served 2>&1 &
served=$!

printf 'nodev\nnodelay\nnoarp\nipv4only\noption interface_mtu\nscript /bin/true\n' > dhcpcd.conf
mkdir -p /run/dhcpcd /var/lib/dhcpcd
ip netns exec $client timeout 60 unshare --mount sh -c 'mount -t tmpfs none /var/lib/dhcpcd
    mount -t tmpfs none /run/dhcpcd
    dhcpcd --oneshot --waitip 4 --timeout 50 --persistent --config "$1" c0' sh "$folder/dhcpcd.conf" > said 2>&1 || true

route=$(ip -n $client -4 route show default)
card=$(ip -n $client -o link show c0 | grep -o 'mtu [0-9]*')
[ -n "$route" ] || { cat said served >&2; echo "no lease came" >&2; exit 2; }
told=$(grep -ci mtu said || true)
echo "route: $(grep -o 'mtu [0-9]*' <<<"$route" || echo 'no mtu'), card: $card, words of mtu in the log: $told"
grep -q 'mtu 9000' <<<"$route" && [ "$card" = 'mtu 1500' ] && [ "$told" = 0 ]
