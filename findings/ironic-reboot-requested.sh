#!/usr/bin/env bash
# Ironic forgets reboot_requested of a step that an operator asks for by name.
#
# Expected: a step whose agent says reboot_requested, as a firmware update does, ends with a reboot, however it came
#           to run.
# Happens:  in automated cleaning the agent's own description of the step is kept, and the node reboots. For manual
#           cleaning and service Ironic makes the step from the operator's words and copies only abortable and
#           priority from the agent's; reboot_requested is gone, and the next step runs without a reboot.
# Matters:  the flashed firmware is not active, and a step behind it that checks the version fails, in manual cleaning
#           only. Who relies on the reboot has to name a reboot step behind it.
# Source:   ironic-python-agent's documentation of hardware managers, reboot_requested.
# Tried:    ironic 39.0.0.
# Needs:    python3-venv
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile ironic==39.0.0

cat > try.py <<'PYTHON'
import sys
from unittest import mock

from ironic.conductor import steps

# What an agent lists, as Ironic caches it.
listed = {"interface": "deploy", "step": "update_firmware", "priority": 10, "abortable": False,
          "reboot_requested": True, "argsinfo": {}}
task = mock.Mock()
seen = {}
with mock.patch.object(steps, "_get_steps", return_value=[listed]):
    for kind, by_name in (("clean", steps._validate_user_clean_steps), ("service", steps._validate_user_service_steps)):
        asked = [{"interface": "deploy", "step": "update_firmware", "args": {}}]
        seen[kind + " by name"] = by_name(task, asked)[0].get("reboot_requested")
    with mock.patch.object(steps, "_validate_user_clean_steps", side_effect=AssertionError):
        task.node.properties, task.node.driver_internal_info = {}, {}
        steps.set_node_cleaning_steps(task)
kept = [call.args[1] for call in task.node.set_driver_internal_info.call_args_list if call.args[0] == "clean_steps"]
seen["automated clean"] = kept[0][0].get("reboot_requested")

expected = {"clean by name": None, "service by name": None, "automated clean": True}
if seen != expected:
    sys.exit(f"changed: expected reboot_requested {expected}, seen {seen}")
print(f"ironic 39.0.0, reboot_requested of a step that says so: {seen}")
PYTHON
venv/bin/python -W ignore try.py 2>err || { cat err >&2; exit 1; }
