#!/usr/bin/env bash
# Kea 2.6.3 passes a configuration whose lease file is outside of /var/lib/kea, and does not start with it.
#
# Expected: kea-dhcp4 -T makes "extra checks beyond what -t offers, such as establishing database connections (for the
#           lease backend...". It opens no files, as it says, but where a file may be is known without.
# Happens:  a lease-database with a "name" in another folder passes -t and -T with status 0; -T even logs that it opens
#           the file. The same program with the same file started as a server ends with "invalid path
#           specified", and names the only folder that it takes. Kea 2.2.0 checks and starts.
# Matters:  a DHCP server for provisioning often keeps its leases in a folder of its own (a container's volume, a
#           partition), and its unit or its deployment tool checks the configuration before it restarts the server: the
#           check passes, the old server goes, no new one comes, and no server boots over the network until somebody
#           sets KEA_DHCP_DATA_DIR.
# Source:   kea-dhcp4(8), -t, -T; Kea's administrator reference manual, "lease-database".
# Tried:    kea-dhcp4-server 2.2.0-6, 2.6.3-1+deb13u1 with the libraries of their Debian, as servers of no interface
#           in a network namespace of their own.
set -euo pipefail
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p lists/partial archives/partial debs
touch status  # no package is installed, as these lists see it

from=(apt-get -qq -o APT::Sandbox::User=root)
apt-cache show kea-dhcp4-server 2>/dev/null | grep -q . || "${from[@]}" update
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/*$' | head -n 1)
own=(-o "Dir::Etc::SourceList=$PWD/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$PWD/lists"
    -o "Dir::State::status=$PWD/status" -o "Dir::Cache=$PWD" -o Acquire::Languages=none)

# FOLDER SUITE VERSION: that version of Kea while the archive has it, else the one that it has, and all libraries
# that it needs, in a folder that can be a root.
unpack() {
    local needed package
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $2 main" > sources.list
    "${from[@]}" "${own[@]}" update
    mapfile -t needed < <(apt-cache "${own[@]}" depends --recurse --no-recommends --no-suggests --no-conflicts \
        --no-breaks --no-replaces --no-enhances kea-dhcp4-server \
        | grep -E '^(lib[a-z0-9.+-]*[0-9]|lib.*t64|zlib1g)' | sort -u)
    rm -f debs/*
    (
        cd debs
        "${from[@]}" "${own[@]}" download "kea-dhcp4-server=$3" "kea-common=$3" 2>/dev/null \
            || "${from[@]}" "${own[@]}" download kea-dhcp4-server kea-common
        "${from[@]}" "${own[@]}" download "${needed[@]}"
    )
    mkdir -p "$1"/{tmp,run/kea,run/lock/kea,var/lib/kea,var/log/kea,leases,dev} "$1"/usr/{lib,lib64,sbin}
    ln -s usr/lib usr/lib64 usr/sbin "$1"
    for package in debs/*.deb; do dpkg --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$1"; done
    cat > "$1/kea.json" <<'JSON'
{"Dhcp4": {
  "interfaces-config": {"interfaces": []},
  "lease-database": {"type": "memfile", "name": "/leases/kea.csv"},
  "subnet4": [{"id": 1, "subnet": "192.0.2.0/24", "pools": [{"pool": "192.0.2.100 - 192.0.2.250"}]}]
}}
JSON
}
unpack old bookworm 2.2.0-6
unpack new trixie 2.6.3-1+deb13u1

export KEA_PIDFILE_DIR=/tmp KEA_LOCKFILE_DIR=/tmp KEA_LOGGER_DESTINATION=stdout
check() {  # FOLDER OPTION
    if chroot "$1" /usr/sbin/kea-dhcp4 "$2" /kea.json > said 2>&1
    then echo "$2 passes"
    else echo "$2: $(tail -n 1 said)"
    fi
}
start() {  # FOLDER
    local server waited=0
    : > said
    unshare --net chroot "$1" /usr/sbin/kea-dhcp4 -c /kea.json >> said 2>&1 < /dev/null &
    server=$!
    until grep -q 'DHCP4_STARTED\|DHCP4_INIT_FAIL' said; do
        [ $((waited += 1)) -le 600 ] && kill -0 $server 2>/dev/null || break
        sleep 0.1
    done
    kill $server 2>/dev/null || true
    wait $server || true
    if grep -q DHCP4_STARTED said && [ -s "$1/leases/kea.csv" ]; then echo starts
    elif grep -q "invalid path specified: '/leases', supported path is '/var/lib/kea'" said; then echo "does not start"
    else cat said
    fi
}
version() { chroot "$1" /usr/sbin/kea-dhcp4 -v; }

seen="old: $(check old -t), $(start old); new: $(check new -t), $(check new -T), $(start new)"
expected="old: -t passes, starts; new: -t passes, -T passes, does not start"
[ "$seen" = "$expected" ] || { echo "changed: expected $expected; seen $seen" >&2; exit 1; }
echo "Kea $(version old), $(version new): $seen"
