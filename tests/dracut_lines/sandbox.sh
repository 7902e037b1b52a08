#!/bin/sh
# dracut's network scripts with a kernel line and cards of files: sandbox.sh FOLDER RECORDERS LEFT, in a mount namespace.
# What they leave behind goes to LEFT.
folder=$1 recorders=$2 left=$3
mount --make-rprivate /
for place in /tmp /sys /etc /run /proc/sys/net/ipv6/conf; do mount -t tmpfs none "$place"; done
mount --bind "$folder/cmdline" /proc/cmdline
mkdir -p /etc/cmdline.d /etc/udev/rules.d /tmp/hooks/initqueue/finished /tmp/bin /sys/devices/virtual/net
for number in 0 1 2 3; do
    card=/sys/class/net/eth$number
    mkdir -p "$card" "/proc/sys/net/ipv6/conf/eth$number"
    echo "52:54:00:12:34:0$number" > "$card/address"
    echo 1 > "$card/carrier"
done
ln -s "$(command -v mawk || command -v gawk)" /tmp/bin/awk
for name in ip dhclient arping modprobe sleep dhcp-multi udevadm; do ln -s "$recorders/$name" "/tmp/bin/$name"; done
for name in dracut-getarg dracut-getargs; do ln -s "$(readlink "$folder/$name")" "/tmp/bin/$name"; done
printf '#!/bin/sh\n. /tmp/libraries\n. %s/scripts/ifup.sh\n' "$folder" > /tmp/bin/ifup
chmod +x /tmp/bin/ifup
cat > /tmp/libraries << END
. $folder/scripts/dracut-lib.sh
. $folder/scripts/net-lib.sh
hookdir=/tmp/hooks
die() { echo "\$*" >> /tmp/died; exit 1; }
END
export PATH="/tmp/bin:$PATH" DRACUT_SYSTEMD=1 PREFIX=/tmp

(
    . /tmp/libraries
    for script in parse-vlan parse-bond parse-team parse-bridge parse-ip-opts parse-ifname ifname-genrules net-genrules; do
        . "$folder/scripts/$script.sh"
    done
)

# As udev would: rename, then run ifup for each card that a rule names.
if [ -e /etc/udev/rules.d/80-ifname.rules ]; then
    sed -n 's/.*address}=="\([^"]*\)".*NAME="\([^"]*\)".*/\1 \2/p' /etc/udev/rules.d/80-ifname.rules > /tmp/renames
    while read -r address name; do
        for card in /sys/class/net/*; do
            if [ "$(cat "$card/address")" = "$address" ]; then
                mv "$card" "/sys/class/net/$name"
                mv "/proc/sys/net/ipv6/conf/${card##*/}" "/proc/sys/net/ipv6/conf/$name"
            fi
        done
    done < /tmp/renames
fi
rules=/etc/udev/rules.d/90-net.rules
if [ ! -e /tmp/died ] && [ -e $rules ]; then
    for card in /sys/class/net/*; do
        [ -e /tmp/died ] && break
        name=${card##*/}
        if [ -e /etc/udev/rules.d/91-default-net.rules ] || grep -q "NAME==\"$name\"" $rules \
            || grep -q "address}==\"$(cat "$card/address")\"" $rules; then
            ifup "$name"
        fi
    done
fi

mkdir "$left/tmp" "$left/conf"
for file in /tmp/*; do [ -f "$file" ] && cp "$file" "$left/tmp"; done
cp -r /proc/sys/net/ipv6/conf/. "$left/conf"
for file in ip.log dhclient.log died; do [ -e "/tmp/$file" ] && cp "/tmp/$file" "$left"; done
exit 0
