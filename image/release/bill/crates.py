"""What our programs are linked of: crates, C libraries inside crates, libraries of the machine that linked them."""

import dataclasses
import functools
import json
import os
import pathlib
import re
import subprocess
import tomllib

import debian

TOP = pathlib.Path(__file__).resolve().parents[3]
# What make compiles together, and has features in common.
TOGETHER = {
    "farrier": ["farrier", "farrier-example-manager", "farrier-onmetal-manager"],
    "farrier-plugin-host": ["farrier-plugin-host"],
}
# Static libraries that the agent is linked with: src/sys/digest.rs, libblkid-rs, and what crt-static and the linker add.
STATIC = ["libcrypto.a", "libblkid.a", "libc.a", "libgcc.a", "libgcc_eh.a"]
# C libraries that crates bring as sources and compile: where their version stands, and whose they are.
VENDORED = {
    "aws-lc-sys": ("AWS-LC", "aws-lc/include/openssl/base.h", [r'AWSLC_VERSION_NUMBER_STRING "([0-9.]+)"'],
                   "pkg:github/aws/aws-lc@v{version}", None),
    "liblzma-sys": ("liblzma", "xz/src/liblzma/api/lzma/version.h",
                    [rf"LZMA_VERSION_{part} ([0-9]+)" for part in ("MAJOR", "MINOR", "PATCH")],
                    "pkg:github/tukaani-project/xz@v{version}", "0BSD"),
    "zstd-sys": ("zstd", "zstd/lib/zstd.h", [rf"ZSTD_VERSION_{part} +([0-9]+)" for part in ("MAJOR", "MINOR", "RELEASE")],
                 "pkg:github/facebook/zstd@v{version}", "BSD-3-Clause OR GPL-2.0-only"),
}
# Crates that claim a native library and bring no source of one: they bind what is above, or only keep a second version out.
WITHOUT_SOURCE = {"aws-lc-rs", "libblkid-rs-sys", "prettyplease", "rayon-core"}


@dataclasses.dataclass
class Crate:
    name: str
    version: str
    licence: str
    repository: str
    authors: list
    checksum: str   # SHA-256 of the .crate file; none of our own
    folder: pathlib.Path
    depends: set    # (name, version)

    @property
    def reference(self):
        return f"pkg:cargo/{self.name}@{self.version.replace('+', '%2B')}"


@dataclasses.dataclass
class Vendored:
    name: str
    version: str
    reference: str
    licence: str
    inside: Crate


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments, "--locked"], cwd=TOP, check=True, stdout=subprocess.PIPE, text=True).stdout


def about(architecture, fact):
    return subprocess.run([TOP / "image/architecture", architecture, fact], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@functools.cache
def known(architecture):
    metadata = json.loads(cargo("metadata", "--format-version=1", f"--filter-platform={about(architecture, 'target')}"))
    return {(package["name"], package["version"]): package for package in metadata["packages"]}


def linked(package, architecture):
    """The crates that PACKAGE of the workspace is linked of, itself first: not what only compiles or tests it."""
    selected = [part for name in TOGETHER[package] for part in ("-p", name)]
    tree = cargo("tree", *selected, "--edges=normal,no-proc-macro", "--prefix=depth", "--format= {p}",
                 f"--target={about(architecture, 'target')}")
    checksums = {(entry["name"], entry["version"]): entry.get("checksum", "")
                 for entry in tomllib.loads((TOP / "Cargo.lock").read_text())["package"]}
    edges, path = {}, []
    for line in filter(None, tree.splitlines()):
        depth, name, version = line.split()[:3]
        crate = (name, version.removeprefix("v"))
        edges.setdefault(crate, set())
        del path[int(depth):]
        if path:
            edges[path[-1]].add(crate)
        path.append(crate)
    start = next(crate for crate in edges if crate[0] == package)
    order, todo = [], [start]
    while todo:
        crate = todo.pop(0)
        if crate not in order:
            order.append(crate)
            todo += sorted(edges[crate])
    result = []
    for crate in order:
        entry = known(architecture)[crate]
        result.append(Crate(*crate, (entry["license"] or "").replace("/", " OR "), entry["repository"] or "", entry["authors"],
                            checksums[crate], pathlib.Path(entry["manifest_path"]).parent, edges[crate]))
        if entry["links"] and crate[0] not in VENDORED and crate[0] not in WITHOUT_SOURCE:
            raise SystemExit(f"sbom: {crate[0]} brings the native library {entry['links']}; say of it in {__file__} what it is")
    return result


def vendored(crates):
    found = []
    for crate in crates:
        if crate.name not in VENDORED:
            continue
        name, file, patterns, reference, licence = VENDORED[crate.name]
        text = (crate.folder / file).read_text()
        matches = [re.search(pattern, text) for pattern in patterns]
        if not all(matches):
            raise SystemExit(f"sbom: {crate.name}: {file} does not say which version of {name} it is")
        version = ".".join(match[1] for match in matches)
        found.append(Vendored(name, version, reference.format(version=version), licence or crate.licence, crate))
    return found


def static_libraries(architecture):
    """The packages that the agent was linked with: of this machine, and for another architecture of image/cross/prepare."""
    packages, unpacked = {}, TOP / about(architecture, "build") / "libraries.cache"
    linker = about(architecture, "triplet") + "-gcc"
    beside = debian.Packages(unpacked, architecture).packages if unpacked.is_dir() else []
    for library in STATIC:
        path = subprocess.run([linker, f"-print-file-name={library}"], check=True, stdout=subprocess.PIPE,
                              text=True).stdout.strip()
        owners = [package for package in beside if any(file.endswith(f"/{library}") for file in package.paths)]
        if os.path.isabs(path):
            owners = [debian.installed(os.path.realpath(path))]
        if not owners:
            raise SystemExit(f"sbom: {linker} finds no {library}")
        package = owners[0]
        packages[package.reference] = package
    return list(packages.values())


def compiler():
    """The release and commit of the compiler, whose standard library is linked to everything."""
    said = subprocess.run([os.environ.get("RUSTC", "rustc"), "-vV"], cwd=TOP, check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(re.findall(r"^(release|commit-hash): (.+)$", said, re.M))
