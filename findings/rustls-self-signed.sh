#!/usr/bin/env bash
# A certificate of "openssl req -x509" is refused by rustls even where it is trusted; OpenSSL takes it.
#
# Expected: a self-signed server certificate that is the client's one trust anchor is accepted, as it is by curl,
#           Python and everything else on OpenSSL.
# Happens:  openssl req -x509 marks the certificate CA:TRUE unless told otherwise. Clients on rustls with WebPKI's
#           verifier (reqwest, uv) do not take a CA's certificate for a server's: CaUsedAsEndEntity. A certificate
#           made with basicConstraints=CA:FALSE is accepted by the same client.
# Matters:  conductors, BMCs and image servers with a self-made certificate have worked for years with Python agents;
#           the first agent or tool in Rust cannot reach them, and the error does not say what to do.
# Source:   RFC 5280, 4.2.1.9; openssl-req(1), -x509; rustls, CertificateError.
# Tried:    uv 0.13.9 (rustls), requests 2.34.2 (OpenSSL).
# Needs:    python3-venv openssl
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile uv==0.13.9 requests==2.34.2

# The one difference is what basicConstraints says.
printf '[req]\ndistinguished_name = dn\nx509_extensions = plain\n[dn]\n[plain]\nbasicConstraints = CA:FALSE\n' \
    > plain.cnf
for kind in usual plain; do
    config=()
    [ $kind = usual ] || config=(-config plain.cnf)
    openssl req -x509 -newkey rsa:2048 -nodes -keyout $kind.key -out $kind.pem -days 30 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost "${config[@]}" 2>/dev/null
done

cat > try.py <<'PYTHON'
import http.server
import os
import ssl
import subprocess
import sys
import threading

import requests


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def by_openssl(url, trusted):
    return requests.get(url, verify=trusted, proxies={"https": ""}).status_code


def by_rustls(url, trusted):
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    clean.update(SSL_CERT_FILE=trusted, UV_HTTP_RETRIES="0", HOME=os.getcwd())
    said = subprocess.run(
        ["venv/bin/uv", "pip", "install", "--python", "venv/bin/python", "--no-config", "--no-cache",
         "--index-url", url, "a-package"],
        env=clean, capture_output=True, text=True, timeout=60).stderr
    if "CaUsedAsEndEntity" in said:
        return "CaUsedAsEndEntity"
    return "connected" if "not found in the package registry" in said else said


seen = {}
for kind in ("usual", "plain"):
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{kind}.pem", f"{kind}.key")
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    url = f"https://localhost:{listening.server_port}/"
    seen[kind] = {"OpenSSL": by_openssl(url, f"{kind}.pem"), "rustls": by_rustls(url, f"{kind}.pem")}

expected = {
    "usual": {"OpenSSL": 404, "rustls": "CaUsedAsEndEntity"},
    "plain": {"OpenSSL": 404, "rustls": "connected"},
}
if seen != expected:
    sys.exit(f"changed: expected {expected}, seen {seen}")
print(f"openssl req -x509 as it is: {seen['usual']}; with CA:FALSE: {seen['plain']}")
PYTHON
venv/bin/python try.py
