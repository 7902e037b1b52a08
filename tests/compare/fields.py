"""An inventory as fields: a path of names, such as `disks/SN1/size`, and a value each."""

ABSENT = '(absent)'

# What tells the members of a list apart, by the list's own name; members of other lists of objects
# are told apart by their number. Where an agent lists things in another order, that is no
# difference: neither promises one.
_KEYS = {
    'interfaces': ('name',),
    'disks': ('serial', 'name'),
    'pci_devices': ('bus',),
    'usb_devices': ('handle',),
    'ram': ('numa_node',),
    'cpus': ('numa_node', 'cpu'),
    'nics': ('name',),
}


def fields(value, path=()):
    """The fields of a JSON value. A list of plain values is one field."""
    if isinstance(value, dict) and (value or not path):
        members = value.items()
    elif isinstance(value, list) and any(isinstance(member, (dict, list)) for member in value):
        members = _named(path[-1] if path else '', value)
    else:
        return {'/'.join(path): value}
    found = {}
    for name, member in members:
        found.update(fields(member, (*path, str(name))))
    return found


def _named(name, members):
    keys = _KEYS.get(name)
    used = set()
    for number, member in enumerate(members):
        label = number
        if keys and isinstance(member, dict):
            # `disks` has two candidates, of which the first that says something counts; the others
            # are one name of several parts.
            parts = [str(member[key]) for key in keys if member.get(key) is not None]
            if parts:
                label = parts[0] if name == 'disks' else '-'.join(parts)
        if label in used:
            label = f'{label}#{number}'
        used.add(label)
        yield label, member
