#!/usr/bin/env bash
# An ISO that also boots from disk is an ISO to Ironic's conductor and an error to its agent.
#
# Expected: both look at an image with the same library and come to the same answer.
# Happens:  oslo.utils finds two formats in an isohybrid ISO, iso and gpt (its word for any MBR, too), and raises an
#           error for want of one. The conductor catches just this pair and says iso; ironic-python-agent refuses the
#           image: "Image matched multiple potential formats".
# Matters:  installation media of distributions are isohybrid. One passes the conductor's check, is sent to the server
#           and refused there, after network boot and download. An ISO without the boot sector passes both, where the
#           agent's permitted_image_formats name iso.
# Source:   oslo.utils, imageutils.format_inspector; Ironic's release notes on deep image inspection.
# Tried:    ironic 39.0.0, ironic-python-agent 13.0.0, oslo.utils 10.2.0, ISO images by pycdlib 1.14.0.
# Needs:    python3-venv
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile \
    ironic==39.0.0 ironic-python-agent==13.0.0 oslo.utils==10.2.0 pycdlib==1.14.0

cat > try.py <<'PYTHON'
import io
import sys

import pycdlib
from ironic.common import images
from ironic_python_agent import config  # its options, before what reads them
from ironic_python_agent import disk_utils
from oslo_config import cfg
from oslo_utils.imageutils import format_inspector

cfg.CONF.set_override("permitted_image_formats", ["raw", "gpt", "qcow2", "iso"])


def write_iso(path, hybrid):
    # isolinux has these four bytes at its 64th; nothing here boots it.
    loader = (bytes(64) + b"\xfb\xc0\x78\x70").ljust(2048, b"\0")
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident="installer")
    iso.add_fp(io.BytesIO(loader), len(loader), "/ISOLINUX.BIN;1")
    iso.add_eltorito("/ISOLINUX.BIN;1", "/BOOT.CAT;1", boot_load_size=4, boot_info_table=True)
    if hybrid:
        iso.add_isohybrid()
    iso.write(path)


def answer(check, path):
    try:
        return str(check(path))
    except Exception as error:
        return "multiple formats" if "multiple" in str(error).lower() else str(error)


seen = {}
for kind in ("plain", "isohybrid"):
    path = kind + ".iso"
    write_iso(path, kind == "isohybrid")
    seen[kind] = (
        answer(format_inspector.detect_file_format, path),
        answer(images.detect_file_format, path),
        answer(lambda path: disk_utils.get_and_validate_image_format(path, "iso")[0], path),
    )

expected = {"plain": ("iso", "iso", "iso"), "isohybrid": ("multiple formats", "iso", "multiple formats")}
if seen != expected:
    sys.exit(f"changed: expected answers of oslo.utils, conductor and agent: {expected}, seen {seen}")
print(f"oslo.utils 10.2.0, ironic 39.0.0, ironic-python-agent 13.0.0: {seen}")
PYTHON
venv/bin/python -W ignore try.py 2>err || { cat err >&2; exit 1; }
