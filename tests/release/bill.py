"""bill.py FILE: a bill of materials against CycloneDX's schema, SPDX's names, and what lies beside it."""

import hashlib
import json
import pathlib
import re
import sys

import evidence
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import get_spdx_licensing


def main(path):
    text = path.read_text()
    problems = [str(error) for error in filter(None, [JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)])]
    bill = json.loads(text)
    components = {component["bom-ref"]: component for component in bill["components"]}
    problems += licences(components.values())
    problems += files(components, path)
    problems += graph(bill, components)
    for program in ("farrier", "farrier-plugin-host"):
        data = (path.parent / program).read_bytes()
        named = evidence.crates_named_in(data)
        problems += [f"{program} says that {crate} is in it, the bill does not" for crate in sorted(named - components.keys())]
        print(f"release-check: {program} names {len(named)} crates that it is linked of")
        problems += [f"{program} names a folder of the machine that compiled it (was its target older than .cargo/rustc?): {each!r}"
                     for each in sorted(evidence.folders_named_in(data))[:3]]
    print(f"release-check: {path.parent.name}/{path.name}: {len(components)} components")
    for problem in problems:
        print(f"release-check: {path}: {problem}", file=sys.stderr)
    return 1 if problems else 0


def licences(components):
    licensing = get_spdx_licensing()
    for component in components:
        for licence in component.get("licenses", []):
            unknown = [key for key in licensing.unknown_license_keys(licence.get("expression", ""))
                       if not re.fullmatch(r"LicenseRef-[A-Za-z0-9.-]+", key)]
            if unknown:
                yield f"{component['bom-ref']}: not of SPDX: {', '.join(unknown)}"


def files(components, path):
    for file in path.parent.iterdir():
        if file != path:
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            told = [each["content"] for each in components.get(file.name, {}).get("hashes", [])]
            if told != [digest]:
                yield f"{file.name} has the digest {digest}, the bill says {told}"


def graph(bill, components):
    """Whatever is listed is in something that is shipped."""
    edges = {entry["ref"]: entry.get("dependsOn", []) for entry in bill["dependencies"]}
    reached, todo = set(), [bill["metadata"]["component"]["bom-ref"]]
    while todo:
        reference = todo.pop()
        if reference not in reached:
            reached.add(reference)
            todo += edges[reference]
    return [f"{reference} is in nothing that is shipped" for reference in components.keys() - reached]


sys.exit(main(pathlib.Path(sys.argv[1])))
