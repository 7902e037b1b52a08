"""What the conductor notes of a step under way: the agent reads it after a reboot that nobody asked for,
to tell the conductor that the step was cut off (`src/conductor/step_under_way.rs`)."""

import copy
import json

import pytest
from ironic import objects
from ironic.common import async_steps, context

from lab import paths

CASES = json.loads((paths.ROOT / 'tests' / 'fixtures' / 'steps' / 'under_way.json').read_text())


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.parametrize('case', CASES, ids=lambda case: case['flow'].replace(' ', '-'))
def test_the_flags_are_those_that_ironic_sets(case):
    """Ironic's own code marks a node as each case says; the agent's unit test reads the result."""
    objects.register_all()
    flags = case['flags']
    expected = case['driver_internal_info']
    unmarked = {name: copy.deepcopy(value) for name, value in expected.items()
                if name not in async_steps._ALL_FLAGS}
    node = objects.Node(context.get_admin_context(), driver_internal_info=unmarked)
    node.save = lambda: None
    if flags:
        async_steps.set_node_flags(node, step_type=case['kind'], **flags)
    assert node.driver_internal_info == expected
