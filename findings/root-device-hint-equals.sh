#!/usr/bin/env bash
# In a root device hint "= 480" means 480 or more.
#
# Expected: the hint size: "= 480" picks the disk of 480 GiB.
# Happens:  it picks any of 480 GiB and above, the first one that the agent lists. "== 480", or 480 without an operator,
#           means equal.
# Matters:  beside the system's 480 GiB SSD stand data disks of several TiB; the operating system goes onto one of
#           them, and its data is gone. The operator is inherited from compute schedulers, where "=" is a minimum.
# Source:   oslo.utils, specs_matcher; Ironic's documentation of root device hints, which lists "=" as >=.
# Tried:    ironic-python-agent 13.0.0.
# Needs:    python3-venv
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile ironic-python-agent==13.0.0

cat > try.py <<'PYTHON'
import sys

from ironic_python_agent import device_hints

GIB = 1 << 30
disks = [
    {"name": "/dev/sda", "size": 7452 * GIB, "model": "data disk"},
    {"name": "/dev/sdb", "size": 480 * GIB, "model": "system disk"},
]
seen = {
    str(size): device_hints.match_root_device_hints(disks, {"size": size})["name"] for size in ("= 480", "== 480", 480)
}

expected = {"= 480": "/dev/sda", "== 480": "/dev/sdb", "480": "/dev/sdb"}
if seen != expected:
    sys.exit(f"changed: expected {expected}, seen {seen}")
print(f"ironic-python-agent 13.0.0, sda of 7452 GiB and sdb of 480, by size: {seen}")
PYTHON
venv/bin/python -W ignore try.py
