"""Records of erases, as the conductor has them in its archives of logs."""

import json
import tarfile

# What the tenant before wrote all over its disks.
SECRET = b'a former tenant!'


def archived(lab, node, number=-1):
    """The erase records of an archive of logs that the conductor stored, of the last one: by step
    and device."""
    records = {}
    with tarfile.open(lab.conductor.stored_logs(node)[number]) as archive:
        for member in archive:
            step, _, name = member.name.rpartition('/')
            if member.isfile() and name.endswith('.json'):
                records.setdefault(step.rpartition('/')[2], {})[name.removesuffix('.json')] = \
                    json.load(archive.extractfile(member))
    return {step: found for step, found in records.items() if step.startswith('erase_')}


def by_serial(records):
    records = records.values() if isinstance(records, dict) else records
    return {record['device']['serial']: record for record in records}
