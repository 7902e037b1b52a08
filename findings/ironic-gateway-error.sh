#!/usr/bin/env bash
# A JSON error without "faultstring" is a TypeError in Ironic's conductor.
#
# Expected: an HTTP error between conductor and agent becomes Ironic's AgentAPIError with the status.
# Happens:  Ironic takes every JSON object with a status of 400 or more for an answer of its agent, in which
#           faultstring is a text. Without one, "argument of type 'NoneType' is not iterable" is all that is left:
#           neither the status nor what the answer said is in the node's last_error. An HTML page fares better, its
#           text and status are logged.
# Matters:  proxies, load balancers and API gateways answer 502 and 503 with JSON of their own; an agent in another
#           language may, too. The operator looks for a defect in Ironic instead of at the network.
# Source:   Ironic's agent API: the error body of WSME.
# Tried:    ironic 39.0.0.
# Needs:    python3-venv
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile ironic==39.0.0

cat > try.py <<'PYTHON'
import http.server
import os
import sys
import threading
from unittest import mock

from ironic.conf import CONF
from ironic.drivers.modules import agent_client

for name in list(os.environ):
    if name.lower().endswith("_proxy"):
        del os.environ[name]
CONF([], project="ironic", default_config_files=[])


def outcome(content_type, body):
    """What becomes of a command that something on the way answers by 503."""
    class Gateway(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(503)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    node = mock.Mock(uuid="11111111-2222-3333-4444-555555555555", driver_info={}, instance_info={})
    node.driver_internal_info = {"agent_url": f"http://127.0.0.1:{listening.server_port}"}
    try:
        agent_client.AgentClient().sync(node)
    except Exception as error:
        return type(error).__name__, "503" in str(error)
    finally:
        listening.shutdown()


seen = {
    "faultstring": outcome("application/json", b'{"faultstring": "not now"}'),
    "other JSON": outcome("application/json", b'{"message": "no healthy upstream"}'),
    "HTML": outcome("text/html", b"<h1>503 Service Unavailable</h1>"),
}
expected = {
    "faultstring": ("AgentAPIError", True),
    "other JSON": ("TypeError", False),
    "HTML": ("IronicException", True),
}
if seen != expected:
    sys.exit(f"changed: expected error and whether it says 503: {expected}, seen {seen}")
print(f"ironic 39.0.0, a 503 on the way to the agent, and whether the error says so: {seen}")
PYTHON
venv/bin/python -W ignore try.py 2>err || { cat err >&2; exit 1; }
