#!/usr/bin/env bash
# Ironic switches a server off that it has just rescued by virtual media.
#
# Expected: a node in the state "rescue" runs the rescue system, whatever it was booted by.
# Happens:  the rescue ends with the boot interface's clean_up_ramdisk; that of redfish-virtual-media switches the server off
#           before it ejects the medium, unless the node has fast track; that of ipxe removes files alone. The node
#           is in the state "rescue", without a last_error, and its user finds nobody to log in to.
# Matters:  rescues of nodes with virtual media need driver_info/fast_track (or [deploy]fast_track), and a ramdisk that serves
#           on is not what is missing.
# Source:   ironic's rescue and redfish boot interfaces.
# Tried:    ironic 39.0.0 with sushy 5.14.0, its own interfaces; database, switch and management controller are left out.
# Needs:    python3-venv
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile ironic==39.0.0 sushy==5.14.0

cat > try.py <<'PYTHON'
import sys
from unittest import mock

from ironic.common import pxe_utils
from ironic.conductor import utils
from ironic.drivers.modules import agent, ipxe
from ironic.drivers.modules.redfish import boot as redfish


def end_of_rescue(boot_interface, fast_track):
    """What is asked of the management controller when a rescue by this boot interface ends."""
    asked = []
    task = mock.MagicMock()
    task.node.driver_info, task.node.instance_info = {}, {}
    task.node.is_smartnic = False
    with mock.patch.object(utils, "node_power_action", lambda task, state: asked.append(state)), \
            mock.patch.object(utils, "is_fast_track", lambda task: fast_track), \
            mock.patch.object(utils, "remove_node_rescue_password"), \
            mock.patch.object(pxe_utils, "get_image_info", return_value={}), \
            mock.patch.object(pxe_utils, "clean_up_pxe_env"), \
            mock.patch.object(pxe_utils, "create_ipxe_boot_script"), \
            mock.patch.object(redfish, "_eject_vmedia", return_value=True), \
            mock.patch.object(redfish, "redfish_utils"), \
            mock.patch.object(redfish.image_utils, "cleanup_iso_image"), \
            mock.patch.object(redfish.image_utils, "cleanup_floppy_image"):
        task.driver.boot = boot_interface()
        agent.AgentRescue().clean_up(task)
    return asked


seen = {
    "ipxe": end_of_rescue(ipxe.iPXEBoot, False),
    "redfish-virtual-media": end_of_rescue(redfish.RedfishVirtualMediaBoot, False),
    "redfish-virtual-media, fast track": end_of_rescue(redfish.RedfishVirtualMediaBoot, True),
}
expected = {"ipxe": [], "redfish-virtual-media": ["power off"], "redfish-virtual-media, fast track": []}
if seen != expected:
    sys.exit(f"changed: expected {expected}, seen {seen}")
print(f"ironic 39.0.0, at the end of a rescue: {seen}")
PYTHON
venv/bin/python -W ignore try.py 2>err || { cat err >&2; exit 1; }
