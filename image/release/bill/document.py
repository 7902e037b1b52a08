"""A bill of materials as CycloneDX 1.6 in JSON. The same release gives the same bytes: what the format wants to be random
or of now follows from the content and from the commit's date."""

import datetime
import json
import uuid

FILE = "farrier.cdx.json"
# Ours, so that the numbers of our documents are not those of others with the same content.
NAMESPACE = uuid.UUID("b3a6f2de-5c0b-5d3f-9a42-4f61c1f0e1aa")
DESCRIPTIONS = {
    "vmlinuz": "the kernel, as Debian signed it", "initrd.img": "the ramdisk", "farrier": "the agent",
    "farrier-plugin-host": "loads hardware managers that are shared libraries",
    "esp.img": "an EFI system partition with signed boot loaders", "farrier.iso": "boot media for disc, stick and virtual media",
}


class Bill:
    def __init__(self, version, architecture, epoch):
        self._version, self._architecture = version, architecture
        self._date = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._root = f"farrier-{version}-{architecture}"
        self._components, self._edges = {}, {self._root: set()}

    def _add(self, reference, component):
        self._components.setdefault(reference, {"bom-ref": reference, **component})
        self._edges.setdefault(reference, set())

    def depends(self, reference, on):
        self._edges[reference].add(on)

    def file(self, name, sha256):
        program = name.startswith("farrier") and "." not in name
        self._add(name, {
            "type": "application" if program else "file", "name": name, "version": self._version,
            **({"description": DESCRIPTIONS[name]} if name in DESCRIPTIONS else {}),
            "hashes": [{"alg": "SHA-256", "content": sha256}],
            **({"licenses": [{"license": {"id": "Apache-2.0"}}]} if program else {}),
        })
        self.depends(self._root, name)

    def package(self, package):
        licence = package.licence
        self._add(package.reference, {
            "type": "operating-system" if package.name.startswith("linux-image") else "library",
            "supplier": {"name": "Debian"}, "name": package.name, "version": package.version,
            **({"hashes": [{"alg": "SHA-256", "content": package.sha256}]} if package.sha256 else {}),
            "licenses": [{"expression": licence}] if licence else
                [{"license": {"name": f"see the copyright file of Debian's {package.name}, which is not written for machines"}}],
            "purl": package.reference,
            "externalReferences": [{"type": "distribution", "url": f"https://packages.debian.org/{package.suite}/{package.name}"}],
            "properties": [{"name": "farrier:debian:source", "value": f"{package.source} {package.source_version}"},
                           *([{"name": "farrier:debian:built-using", "value": package.built_using}] if package.built_using else [])],
        })

    def packages_depend(self, packages):
        names = {}
        for package in packages:
            for name in {package.name, *package.provides}:
                names.setdefault(name, package)
        for package in packages:
            for choices in package.depends:
                for name in choices & names.keys():
                    if names[name] is not package:
                        self.depends(package.reference, names[name].reference)

    def crates(self, program, crates):
        known = {(crate.name, crate.version): crate for crate in crates}
        # The first is the program itself, which is here by the name of its file.
        references = {(crate.name, crate.version): crate.reference for crate in crates[1:]}
        references[(crates[0].name, crates[0].version)] = program
        for crate in crates[1:]:
            self._add(crate.reference, {
                "type": "library", "name": crate.name, "version": crate.version,
                **({"hashes": [{"alg": "SHA-256", "content": crate.checksum}]} if crate.checksum else {}),
                "licenses": [{"expression": crate.licence}], "purl": crate.reference,
                **({"externalReferences": [{"type": "vcs", "url": crate.repository}]} if crate.repository else {}),
            })
        for crate in known.values():
            for other in crate.depends:
                self.depends(references[(crate.name, crate.version)], references[other])

    def vendored(self, library):
        self._add(library.reference, {
            "type": "library", "name": library.name, "version": library.version,
            "description": f"C library, compiled from the sources in the crate {library.inside.name}",
            "licenses": [{"expression": library.licence}], "purl": library.reference,
        })
        self.depends(library.inside.reference, library.reference)

    def standard_library(self, compiler, programs):
        reference = f"pkg:github/rust-lang/rust@{compiler['release']}"
        self._add(reference, {
            "type": "library", "name": "rust standard library", "version": compiler["release"],
            "description": "with the crates that it is linked of itself, in the versions of this release of the compiler",
            "licenses": [{"expression": "MIT OR Apache-2.0"}], "purl": reference,
            "properties": [{"name": "farrier:rust:commit", "value": compiler.get("commit-hash", "unknown")}],
        })
        for program in programs:
            self.depends(program, reference)

    def text(self):
        document = {
            "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
            "metadata": {
                "timestamp": self._date,
                "tools": {"components": [{"type": "application", "name": "farrier image/release/sbom", "version": self._version}]},
                "component": {
                    "bom-ref": self._root, "type": "firmware", "name": "farrier", "version": self._version,
                    "description": f"The files of farrier's release for {self._architecture}",
                    "licenses": [{"license": {"id": "Apache-2.0"}}],
                    "properties": [{"name": "farrier:architecture", "value": self._architecture}],
                },
            },
            "components": [self._components[reference] for reference in sorted(self._components)],
            "dependencies": [{"ref": reference, **({"dependsOn": sorted(self._edges[reference])} if self._edges[reference] else {})}
                             for reference in sorted(self._edges)],
        }
        serial = uuid.uuid5(NAMESPACE, json.dumps(document, sort_keys=True))
        return json.dumps({**document, "serialNumber": f"urn:uuid:{serial}"}, indent=1, ensure_ascii=False) + "\n"

    def summary(self):
        kinds = [reference.split("/")[0] for reference in self._components]
        return f"{kinds.count('pkg:cargo')} crates, {kinds.count('pkg:deb')} Debian packages"
