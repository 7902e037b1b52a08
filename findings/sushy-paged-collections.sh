#!/usr/bin/env bash
# sushy sees the first page of a Redfish collection only.
#
# Expected: a collection that a BMC serves in parts, with Members@odata.nextLink, is read to its end.
# Happens:  sushy reads the members of the first part and never asks for the next; Members@odata.count, which says
#           that there are more, is not compared.
# Matters:  DSP0266 lets any service split any collection. Systems of a chassis with many blades, drives, volumes or
#           firmware inventory behind the first part do not exist for Ironic: "not found", or not updated.
# Source:   DMTF DSP0266, the Redfish specification, on resource collections.
# Tried:    sushy 5.14.0.
# Needs:    python3-venv
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile sushy==5.14.0

cat > try.py <<'PYTHON'
import http.server
import json
import os
import sys
import threading

import sushy

for name in list(os.environ):
    if name.lower().endswith("_proxy"):
        del os.environ[name]
ROOT = "/redfish/v1"
DOCUMENTS = {
    f"{ROOT}/": {"Id": "root", "Name": "root", "RedfishVersion": "1.17.0", "Systems": {"@odata.id": f"{ROOT}/Systems"}},
    f"{ROOT}/Systems": {
        "Name": "blades", "Members@odata.count": 3, "Members@odata.nextLink": f"{ROOT}/Systems?$skip=2",
        "Members": [{"@odata.id": f"{ROOT}/Systems/{blade}"} for blade in (1, 2)]},
    f"{ROOT}/Systems?$skip=2": {
        "Name": "blades", "Members@odata.count": 3, "Members": [{"@odata.id": f"{ROOT}/Systems/3"}]},
    **{f"{ROOT}/Systems/{blade}": {"Id": str(blade), "Name": f"blade {blade}"} for blade in (1, 2, 3)},
}
asked = []


class BMC(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.path)
        document = DOCUMENTS.get(self.path)
        body = json.dumps({"@odata.id": self.path, **(document or {})}).encode()
        self.send_response(200 if document else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), BMC)
threading.Thread(target=listening.serve_forever, daemon=True).start()
bmc = sushy.Sushy(f"http://127.0.0.1:{listening.server_port}", auth=sushy.auth.BasicAuth("operator", "secret"))
systems = [system.identity for system in bmc.get_system_collection().get_members()]
seen = (systems, any("skip" in path for path in asked), bmc.get_system(f"{ROOT}/Systems/3").identity)

expected = (["1", "2"], False, "3")
if seen != expected:
    sys.exit(f"changed: expected members, whether the next part was asked for, the third by its path: {expected}, "
             f"seen {seen}")
print(f"sushy 5.14.0: of three systems in two parts it lists {systems}; the third is there when asked for by its path")
PYTHON
venv/bin/python -W ignore try.py
