"""What schemathesis does not know of this API."""

import schemathesis
from schemathesis.core.failures import Failure

# It ends the serving, as it must. run.py does it once, at the end; here another command takes its place.
LAST = 'system.lockdown'
INSTEAD = {'name': 'standby.get_partition_uuids', 'params': {}}

OF_SHAPE = ('400 Bad Request', 'Invalid command parameters')


def commands(body):
    """The name of each command that a body or a flow in it asks for."""
    if isinstance(body, dict):
        if isinstance(body.get('name'), str):
            yield body['name']
        for name, value in body.items():
            yield name
            yield from commands(value)
    elif isinstance(body, list):
        for item in body:
            yield from commands(item)


# To leave it out (`filter_body`) would leave out all examples of the operation, and `map_body` is not asked about all bodies.
@schemathesis.hook
def before_call(context, case, kwargs):
    if LAST in commands(case.body):
        case.body = INSTEAD


@schemathesis.check
def valid_is_not_refused_for_its_shape(context, response, case):
    """What the document calls valid is never answered with an error about its shape."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 400:
        return
    text = response.json()['faultstring']
    if text.startswith(OF_SHAPE):
        raise Failure(operation=case.operation.label, title='Valid and refused for its shape', message=text)
