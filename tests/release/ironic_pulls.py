"""ironic_pulls.py LAYOUT REGISTRY CA FOLDER: Ironic's client for registries fetches kernel and ramdisk of each architecture,
as it does where a node's deploy_kernel and deploy_ramdisk are oci:// addresses."""

import json
import pathlib
import sys
import tempfile

from ironic.common import oci_registry
from ironic.conf import CONF

layout, registry, authority, folder = sys.argv[1:]
CONF([], project="ironic")
blobs = pathlib.Path(layout, "blobs/sha256")
tag = json.loads(pathlib.Path(layout, "index.json").read_text())["manifests"][0]
index = json.loads((blobs / tag["digest"].removeprefix("sha256:")).read_text())
alone = [entry for entry in index["manifests"] if "annotations" in entry]
if not alone:
    sys.exit("release-check: no manifest is of one file")
for entry in alone:
    name = entry["annotations"]["org.opencontainers.image.title"]
    with tempfile.TemporaryFile() as file:
        oci_registry.OciClient(authority).download_blob_from_manifest(f"oci://{registry}@{entry['digest']}", file)
        file.seek(0)
        if file.read() != pathlib.Path(folder, name).read_bytes():
            sys.exit(f"release-check: Ironic got something else than {name}")
    print(f"release-check: Ironic fetched {name} from the registry")
