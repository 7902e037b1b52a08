#!/usr/bin/env bash
# Swift's object server does not know If-Range: parts of an object's two versions can be joined.
#
# Expected: a download that resumes with Range and If-Range: "ETag of the first part" gets the whole new object (200)
#           if the object was replaced meanwhile, as RFC 9110 has it.
# Happens:  Swift ignores If-Range and answers 206 with the rest of the new version. Only the ETag header of that
#           answer tells. If-Match, which it knows, ends with 412.
# Matters:  an image that is uploaded anew under its name while racks download it becomes half old, half new on those
#           whose connection broke. Whoever resumes from Swift compares ETags or sends If-Match.
# Source:   RFC 9110, 13.1.5.
# Tried:    swift 2.38.3, its object server with memory for a disk.
# Needs:    python3-venv
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile swift==2.38.3

cat > try.py <<'PYTHON'
import os
import sys

from swift.common.swob import Request
from swift.obj.mem_server import ObjectController

server = ObjectController({"devices": os.getcwd(), "mount_check": "false"})


def put(body, timestamp):
    request = Request.blank("/disk/0/account/images/image", method="PUT", body=body, headers={
        "X-Timestamp": timestamp, "Content-Type": "application/octet-stream"})
    return request.get_response(server).headers["ETag"]


def resume(**conditions):
    conditions = {name.replace("_", "-"): value for name, value in conditions.items()}
    request = Request.blank("/disk/0/account/images/image", headers={"Range": "bytes=6-", **conditions})
    answer = request.get_response(server)
    return answer.status_int, answer.body if answer.status_int < 300 else b""


old = put(b"first version!", "1700000000.00000")
unchanged = resume(If_Range=old)
new = put(b"SECOND VERSION", "1700000001.00000")
seen = [unchanged, resume(If_Range=old), resume(If_Match=old), resume(If_Match=new)]

expected = [(206, b"version!"), (206, b" VERSION"), (412, b""), (206, b" VERSION")]
if seen != expected:
    sys.exit(f"changed: expected {expected}, seen {seen}")
print(f"swift 2.38.3, replaced object: If-Range of the old one {seen[1]}, If-Match of the old one {seen[2]}")
PYTHON
venv/bin/python -W ignore try.py
