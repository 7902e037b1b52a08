#!/usr/bin/env bash
# Ironic derives a key by 600000 rounds for every use of a BMC session that it has cached.
#
# Expected: a cached session with a BMC costs a request and no more.
# Happens:  the cache is looked up by a hash of the BMC's password, and that is PBKDF2 with SHA-512 and 600000 rounds,
#           made anew before every lookup: some 0.3 s of a processor for each time that Ironic wants a node's system or
#           manager, where the request itself takes milliseconds. The time is the conductor's, whatever the BMC.
# Matters:  a power state is asked for in every round of every node's synchronisation: 200 nodes by Redfish are a minute
#           of processor time a round.
# Source:   Ironic, the redfish interfaces' SessionCache; RFC 8018, section 5.2.
# Tried:    ironic 39.0.0, sushy 5.14.0.
# Needs:    python3-venv
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile ironic==39.0.0 sushy==5.14.0

cat > try.py <<'PYTHON'
import hashlib
import http.server
import json
import os
import threading
import time
from unittest import mock

from ironic.conf import CONF
from ironic.drivers.modules.redfish import utils

for name in list(os.environ):
    if name.lower().endswith("_proxy"):
        del os.environ[name]
CONF([], project="ironic", default_config_files=[])

SYSTEM = {"@odata.id": "/redfish/v1/Systems/1", "Id": "1", "Name": "one", "PowerState": "On"}
PAGES = {
    "/redfish/v1": {"@odata.id": "/redfish/v1/", "Id": "RootService", "Name": "a BMC", "RedfishVersion": "1.6.0",
                    "Systems": {"@odata.id": "/redfish/v1/Systems"}},
    "/redfish/v1/Systems/1": SYSTEM,
}


class Bmc(http.server.BaseHTTPRequestHandler):
    requests = []

    def do_GET(self):
        self.requests.append(self.path)
        page = PAGES.get(self.path.rstrip("/"))
        body = json.dumps(page or {}).encode()
        self.send_response(200 if page else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


derive = hashlib.pbkdf2_hmac
derived = []


def watched(digest, password, salt, rounds, *more):
    start = time.process_time()
    key = derive(digest, password, salt, rounds, *more)
    derived.append((digest, rounds, time.process_time() - start))
    return key


bmc = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bmc)
threading.Thread(target=bmc.serve_forever, daemon=True).start()
node = mock.Mock(uuid="11111111-2222-3333-4444-555555555555", driver="redfish", driver_internal_info={})
node.driver_info = {"redfish_address": f"http://127.0.0.1:{bmc.server_port}", "redfish_auth_type": "basic",
                    "redfish_system_id": "/redfish/v1/Systems/1", "redfish_username": "admin",
                    "redfish_password": "password"}
with mock.patch("hashlib.pbkdf2_hmac", watched):
    for _ in range(5):
        assert utils.get_system(node).power_state.value == "On"
bmc.shutdown()
sessions = len(utils.SessionCache._sessions)
roots = sum(path.rstrip("/") == "/redfish/v1" for path in Bmc.requests)
kinds = sorted({f"{digest} of {rounds} rounds" for digest, rounds, _ in derived})
seen = f"5 uses of {sessions} cached session, its root asked for {roots} time: {len(derived)} keys by {', '.join(kinds)}"
expected = "5 uses of 1 cached session, its root asked for 1 time: 5 keys by sha512 of 600000 rounds"
seconds = sum(spent for _, _, spent in derived) / max(len(derived), 1)
print(f"{seen}; {seconds:.2f} s of a processor each")
if seen != expected:
    raise SystemExit(f"not as described: expected {expected}")
PYTHON
seen=$(venv/bin/python try.py 2>errors) || { cat errors; echo "$seen"; exit 1; }
versions=$(venv/bin/pip --disable-pip-version-check list 2>/dev/null | awk '$1 == "ironic" || $1 == "sushy" { printf "%s %s, ", $1, $2 }')
echo "${versions%, }: $seen"
