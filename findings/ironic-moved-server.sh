#!/usr/bin/env bash
# Ironic keeps the switch port that it learnt first, whatever LLDP says later.
#
# Expected: a server that was moved to another switch port, and is inspected again, is known to be there.
# Happens:  the hook local-link-connection fills in what a port's local_link_connection does not have yet and leaves
#           the rest: switch_id and port_id stay those of the old place. (ironic-inspector, before it, had
#           overwrite_existing, on by default.)
# Matters:  networks are switched on the port that another machine now has, after an inspection that went well.
#           Clear local_link_connection of the ports before an inspection that follows a move.
# Source:   Ironic's documentation of inspection hooks.
# Tried:    ironic 39.0.0, with its own hook and port object; the database is left out.
# Needs:    python3-venv
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile ironic==39.0.0

cat > try.py <<'PYTHON'
import sys
from unittest import mock

from ironic import objects
from ironic.drivers.modules.inspector.hooks import local_link_connection

objects.register_all()
MAC = "00:00:5e:00:53:99"
port = objects.Port(address=MAC, id=1, uuid="11111111-2222-3333-4444-555555555555", local_link_connection={})


def inspect(switch, switch_port):
    """An inspection that hears this switch: chassis ID (a MAC), port ID (a name), system name."""
    frame = [[1, "04" + switch.replace(":", "")], [2, "05" + switch_port.encode().hex()], [5, b"leaf".hex()]]
    interface = {"name": "eth0", "mac_address": MAC}
    data = {"all_interfaces": {"eth0": interface}, "lldp_raw": {"eth0": frame}}
    with mock.patch.object(objects.Port, "get_by_address", return_value=port), mock.patch.object(objects.Port, "save"):
        local_link_connection.LocalLinkConnectionHook()(mock.Mock(), {"interfaces": [interface]}, data)
    return port.local_link_connection["switch_id"], port.local_link_connection["port_id"]


first = inspect("00:00:5e:00:53:10", "Ethernet1/1")
moved = inspect("00:00:5e:00:53:20", "Ethernet1/7")
port.local_link_connection = {}
cleared = inspect("00:00:5e:00:53:20", "Ethernet1/7")

seen = [first, moved, cleared]
old, new = ("00:00:5e:00:53:10", "Ethernet1/1"), ("00:00:5e:00:53:20", "Ethernet1/7")
if seen != [old, old, new]:
    sys.exit(f"changed: expected {[old, old, new]}, seen {seen}")
print(f"ironic 39.0.0: at first {first}; moved, inspected again {moved}; cleared, inspected again {cleared}")
PYTHON
venv/bin/python -W ignore try.py 2>err || { cat err >&2; exit 1; }
