#!/usr/bin/env bash
# One valid ISO 9660 config drive in four is taken for base64 by ironic-python-agent.
#
# Expected: a config drive behind a URL may be the ISO itself; the agent tells it from base64 text by its content.
# Happens:  the agent tries Python's base64.b64decode, which passes over all bytes outside the alphabet. Where the
#           number of the others can be divided by four, the ISO "is" base64, and the deploy ends with "Not a gzipped
#           file". Other images are written as they are.
# Matters:  a config drive with one more letter in a file deploys, the next does not, with an error about gzip for a
#           file that never was one. Serve it gzipped and base64-encoded, as Ironic itself does.
# Source:   Ironic's documentation of config drives; Python, base64.b64decode, validate=False.
# Tried:    ironic-python-agent 13.0.0, ISO images by pycdlib 1.14.0.
# Needs:    python3-venv
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile ironic-python-agent==13.0.0 pycdlib==1.14.0

cat > try.py <<'PYTHON'
import collections
import http.server
import io
import os
import random
import sys
import threading

import pycdlib
from ironic_python_agent import config  # its options, before what reads them
from ironic_python_agent import partition_utils

for name in list(os.environ):
    if name.lower().endswith("_proxy"):
        del os.environ[name]
served = b""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(served)))
        self.end_headers()
        self.wfile.write(served)

    def log_message(self, *_):
        pass


def config_drive(user_data):
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident="config-2", joliet=3, rock_ridge="1.09")
    iso.add_directory("/OPENSTACK", joliet_path="/openstack", rr_name="openstack")
    iso.add_directory("/OPENSTACK/LATEST", joliet_path="/openstack/latest", rr_name="latest")
    for name, short, content in (
            ("meta_data.json", "META_DATA.JSON", b'{"uuid": "test"}'), ("user_data", "USER_DATA.", user_data)):
        iso.add_fp(io.BytesIO(content), len(content), f"/OPENSTACK/LATEST/{short};1",
                   joliet_path=f"/openstack/latest/{name}", rr_name=name)
    image = io.BytesIO()
    iso.write_fp(image)
    return image.getvalue()


listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=listening.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{listening.server_port}/config.iso"
seen = collections.Counter()
for length in range(40):
    served = config_drive(b"#cloud-config\n#" + b"x" * length + b"\n")
    assert served[32769:32774] == b"CD001"
    try:
        _, path = partition_utils.get_configdrive(url, "node", tempdir=os.getcwd())
        seen["written as it is" if open(path, "rb").read() == served else "written otherwise"] += 1
    except Exception as error:
        seen["Not a gzipped file" if "Not a gzipped file" in str(error) else repr(error)] += 1

if set(seen) != {"written as it is", "Not a gzipped file"}:
    sys.exit(f"changed: expected some images as they are and some to be no gzipped file, seen {dict(seen)}")
print(f"ironic-python-agent 13.0.0, 40 valid ISO images: {dict(seen)}")
PYTHON
venv/bin/python -W ignore try.py 2>err || { cat err >&2; exit 1; }
