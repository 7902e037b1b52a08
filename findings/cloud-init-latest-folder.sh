#!/usr/bin/env bash
# cloud-init reads the newest dated folder of a config drive that it knows, and "latest" only if there is none.
#
# Expected: openstack/latest/ holds what counts, as its name says; older folders are for older readers.
# Happens:  cloud-init takes the newest folder of its own list (2012-08-10 to 2018-08-27) that is on the drive and reads
#           everything from there. With a drive that has latest/ and a sparse 2012-08-10/ beside it, user data and
#           network data in latest/ are not seen, without a word at the console. Alone, latest/ is read.
# Matters:  drives that are packed by hand or by a script that adds a file to latest/ only come up with the wrong
#           network. Write one folder, or the same files in each.
# Source:   OpenStack's documentation of config drives, "latest"; cloud-init's of the ConfigDrive data source.
# Tried:    cloud-init 22.4.2-1+deb12u4.
# Needs:    python3-venv
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile \
    PyYAML==6.0.2 configobj==5.0.9 jsonpatch==1.33 requests==2.34.2 Jinja2==3.1.6 oauthlib==3.2.2
apt-cache show cloud-init 2>/dev/null | grep -q . || apt-get -qq update
from=(apt-get -qq -o APT::Sandbox::User=root download)
"${from[@]}" cloud-init=22.4.2-1+deb12u4 2>/dev/null || "${from[@]}" cloud-init || exit 2
dpkg -x cloud-init_*.deb root

cat > try.py <<'PYTHON'
import json
import os
import sys

sys.path.insert(0, "root/usr/lib/python3/dist-packages")
from cloudinit import version  # noqa: E402
from cloudinit.sources.helpers import openstack  # noqa: E402


def read(folders):
    """What cloud-init makes of a drive: each folder with its name as host name, user and network data in latest/."""
    drive = os.path.join(os.getcwd(), "-".join(folders))
    for folder in folders:
        path = os.path.join(drive, "openstack", folder)
        os.makedirs(path)
        files = {"meta_data.json": json.dumps({"uuid": "11111111-2222-3333-4444-555555555555", "hostname": folder})}
        if folder == "latest":
            files["user_data"] = "#cloud-config\n"
            files["network_data.json"] = json.dumps({"links": [], "networks": [], "services": []})
        for name, content in files.items():
            with open(os.path.join(path, name), "w") as file:
                file.write(content)
    found = openstack.ConfigDriveReader(drive).read_v2()
    return found["metadata"]["hostname"], bool(found["userdata"]), "networkdata" in found


seen = {
    "latest": read(["latest"]),
    "2012-08-10 and latest": read(["2012-08-10", "latest"]),
    "2099-01-01 and latest": read(["2099-01-01", "latest"]),
}
expected = {
    "latest": ("latest", True, True),
    "2012-08-10 and latest": ("2012-08-10", False, False),
    "2099-01-01 and latest": ("latest", True, True),
}
if seen != expected:
    sys.exit(f"changed: expected folder, user data, network data {expected}, seen {seen}")
print(f"cloud-init {version.version_string()}, folder read, user data, network data: {seen}")
PYTHON
venv/bin/python -W ignore try.py
