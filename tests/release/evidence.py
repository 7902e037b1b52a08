"""What a program says of itself, beside what a bill of materials says of it."""

import re


def crates_named_in(program):
    """A program names its sources where it may panic or log: by crate and version, since they lie in folders of that name.
    Not those that the standard library is linked of (/rust/deps), of which the compiler keeps account, and not ours."""
    found = re.findall(rb"(?<=/)(?<!/rust/deps/)([a-z][\w-]*?)-([0-9]+\.[0-9]+\.[0-9]+(?:\+[\w.]+)?)/(?:src|out)/", program)
    return {f"pkg:cargo/{name.decode()}@{version.decode().replace('+', '%2B')}" for name, version in found
            if not name.startswith(b"farrier")}


def folders_named_in(program):
    """Folders of the machine that compiled it: of cargo's registry, of a target folder, of a compiler's sources."""
    return set(re.findall(rb"/[!-~]{0,80}/(?:registry/src|lib/rustlib/src)/|/[!-~]{0,80}/target/[!-~]{0,40}/release/", program))
