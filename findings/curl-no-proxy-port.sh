#!/usr/bin/env bash
# curl never matches a no_proxy entry that has a port; requests does.
#
# Expected: no_proxy=ironic.example:6385 keeps requests to that port off the proxy, whatever makes them.
# Happens:  libcurl compares the entry, port and all, with the host, so the request goes to the proxy. Python's
#           requests compares a name with HOST:PORT too and connects directly, but an address like curl.
# Matters:  a ramdisk's Python agent reaches the conductor while curl, on the same machine with the same
#           environment, asks a proxy that may not know the provisioning network.
# Source:   curl(1), NO_PROXY: host names, domains and networks; no word of a port.
# Tried:    libcurl 8.23.0 (pycurl 7.49.0), requests 2.34.2.
# Needs:    python3-venv
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile pycurl==7.49.0 requests==2.34.2

cat > try.py <<'PYTHON'
import http.server
import os
import sys
import threading

import pycurl
import requests


def server(answer):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    return listening.server_port


conductor, proxy = server(b"direct"), server(b"proxy")


def by_curl(url):
    body = []
    handle = pycurl.Curl()
    handle.setopt(pycurl.URL, url)
    handle.setopt(pycurl.WRITEFUNCTION, body.append)
    handle.perform()
    return b"".join(body).decode()


seen = {}
for host in ("localhost", "127.0.0.1"):
    for entry in (host, f"{host}:{conductor}"):
        for name in list(os.environ):
            if name.lower().endswith("_proxy"):
                del os.environ[name]
        os.environ.update(http_proxy=f"http://127.0.0.1:{proxy}", no_proxy=entry)
        url = f"http://{host}:{conductor}/"
        seen[entry.replace(str(conductor), "PORT")] = {"curl": by_curl(url), "requests": requests.get(url).text}

expected = {
    "localhost": {"curl": "direct", "requests": "direct"},
    "localhost:PORT": {"curl": "proxy", "requests": "direct"},
    "127.0.0.1": {"curl": "direct", "requests": "direct"},
    "127.0.0.1:PORT": {"curl": "proxy", "requests": "proxy"},
}
if seen != expected:
    sys.exit(f"changed: expected {expected}, seen {seen}")
print(f"{pycurl.version.split()[1]}, requests {requests.__version__}: "
      f"no_proxy=localhost:PORT: {seen['localhost:PORT']}")
PYTHON
venv/bin/python try.py
