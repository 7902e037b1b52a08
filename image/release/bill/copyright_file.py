"""What a Debian copyright file says of licences, as an SPDX expression."""

import re

FORMAT = re.compile(r"\s*(?:#.*\n)*format(?:-specification)?:", re.I)
# Debian's short names that mean what SPDX calls otherwise. What is not here keeps its name behind LicenseRef-Debian-: two
# packages may mean two texts by such a name, and a guess would be worse.
SPDX = {
    "0bsd": "0BSD", "apache-2": "Apache-2.0", "apache-2.0": "Apache-2.0", "beerware": "Beerware",
    "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause", "bsd-4-clause-uc": "BSD-4-Clause-UC", "bsd-2-clause-netbsd": "BSD-2-Clause",
    "bsl-1": "BSL-1.0", "bsl-1.0": "BSL-1.0", "cc0-1.0": "CC0-1.0", "cc-by-4.0": "CC-BY-4.0", "cc-by-sa-3.0": "CC-BY-SA-3.0",
    "expat": "MIT", "fsfap": "FSFAP", "fsful": "FSFUL", "fsfullr": "FSFULLR", "ftl": "FTL", "isc": "ISC", "latex2e": "Latex2e",
    "libpng": "Libpng", "mit": "MIT", "mpl-2.0": "MPL-2.0", "ms-pl": "MS-PL", "sleepycat": "Sleepycat",
    "unicode-dfs-2016": "Unicode-DFS-2016", "unlicense": "Unlicense", "wtfpl-2": "WTFPL", "x11": "X11", "zlib": "Zlib",
}
EXCEPTIONS = {
    "bison": "Bison-exception-2.2", "bison-2.2": "Bison-exception-2.2",
    "linux-syscall-note": "Linux-syscall-note", "texinfo": "Texinfo-exception",
}
GNU = re.compile(r"(A?GPL|LGPL|GFDL-NIV|GFDL)-v?([0-9](?:\.[0-9])?)(?:\.0)?(\+)?", re.I)


def expression(text):
    """All licences of TEXT's files but those of Debian's own packaging, or None where it has another format."""
    if not FORMAT.match(text):
        return None
    found = set()
    for part in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t].*)*)", part, re.M))
        fields = {key.lower(): value for key, value in fields.items()}
        files = fields.get("files", "").split()
        if not files or all(name.startswith("debian/") for name in files):
            continue
        name = fields.get("license", "").split("\n")[0].strip()
        if name:
            joined = _join(name)
            found.update([joined] if " OR " in joined else joined.split(" AND "))
    return " AND ".join(sorted(f"({each})" if " OR " in each and len(found) > 1 else each for each in found)) or None


def _join(names):
    """Debian's grammar: "and" binds closer than "or", and a comma before either ends what went before."""
    for separator, word in ((r",\s+or\s+", " OR "), (r",\s+and\s+|,\s+", " AND "), (r"\s+or\s+", " OR "), (r"\s+and\s+", " AND ")):
        parts = [part for part in re.split(separator, names, flags=re.I) if part.strip()]
        if len(parts) > 1:
            each = dict.fromkeys(_join(part) for part in parts)
            return word.join(f"({one})" if " OR " in one and word == " AND " else one for one in each)
    return _one(names.strip())


def _one(name):
    licence, _, exception = name.partition(" with ")
    licence, exception = licence.strip(), re.sub(r"\s+exception$", "", exception.strip(), flags=re.I).lower()
    gnu = GNU.fullmatch(licence)
    if gnu:
        kind, version = gnu[1].upper(), gnu[2] if "." in gnu[2] else f"{gnu[2]}.0"
        invariants = "-no-invariants" if kind == "GFDL-NIV" else ""
        kind = kind.removesuffix("-NIV")
        spdx = f"{kind}-{version}{invariants}-{'or-later' if gnu[3] else 'only'}"
    else:
        spdx = SPDX.get(licence.lower())
    if not spdx or (exception and exception not in EXCEPTIONS):
        return "LicenseRef-Debian-" + re.sub(r"[^A-Za-z0-9.]+", "-", name.replace("+", " or later ")).strip("-")
    return f"{spdx} WITH {EXCEPTIONS[exception]}" if exception else spdx
