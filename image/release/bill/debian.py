"""Debian packages: which gave a file, what they are, what they depend on."""

import fnmatch
import functools
import io
import pathlib
import re
import subprocess
import tarfile
import urllib.parse

import copyright_file

TOP = pathlib.Path(__file__).resolve().parents[3]
# Files of the ramdisk that the build makes of a package's, and that no package has by that name.
MADE = {
    "etc/ssl/certs/ca-certificates.crt": "ca-certificates",
    "usr/lib/udev/hwdb.bin": "udev",
}
# Made by the build of nothing that somebody else wrote: indexes, links, lists, what says how it was built.
OURS = ("init", "usr/bin/farrier", "usr/bin/farrier-*", "etc/ld.so.cache", "etc/ld.so.conf", "usr/lib/modules/*/modules.*",
        "usr/share/farrier/firmware", "usr/lib/dracut/*", "etc/mtab", "etc/resolv.conf", "var/run", "var/lock", "bin",
        "sbin", "lib", "lib64", "etc/conf.d/systemd.conf", "etc/initrd-release", "usr/lib/initrd-release", "var/lib/dracut/*")


class Package:
    """A binary package: of a .deb file, or installed on this machine."""

    def __init__(self, fields, suite, sha256="", file=None, licence=None):
        self.name, self.version, self.architecture = fields["Package"], fields["Version"], fields["Architecture"]
        source = re.fullmatch(r"(\S+)(?: \((.+)\))?", fields.get("Source", "") or self.name)
        self.source, self.source_version = source[1], source[2] or self.version
        # Sources of which it has a copy: static libraries, and what a signed package is a signature of.
        self.built_using = fields.get("Built-Using") or fields.get("Static-Built-Using") or ""
        self.depends = [{re.split(r"[ :(\[]", choice.strip())[0] for choice in each.split("|")}
                        for key in ("Pre-Depends", "Depends") for each in fields.get(key, "").split(",") if each.strip()]
        self.provides = {re.split(r"[ (]", each.strip())[0] for each in fields.get("Provides", "").split(",") if each.strip()}
        self.suite, self.sha256, self._file, self._licence = suite, sha256, file, licence
        self._siblings = {}

    @property
    def reference(self):
        upstream = "" if self.source == self.name else f"&upstream={urllib.parse.quote(self.source, safe='')}"
        return (f"pkg:deb/debian/{urllib.parse.quote(self.name, safe='')}@{urllib.parse.quote(self.version, safe='')}"
                f"?arch={self.architecture}&distro={self.suite}{upstream}")

    @functools.cached_property
    def _members(self):
        raw = subprocess.run(["dpkg-deb", "--fsys-tarfile", self._file], stdout=subprocess.PIPE, check=True).stdout
        return tarfile.open(fileobj=io.BytesIO(raw))

    @functools.cached_property
    def paths(self):
        """Its files and links, where a system whose /bin and /lib are links to /usr has them."""
        return {in_usr(member.name) for member in self._members if not member.isdir()}

    def contents(self, wanted):
        for member in self._members:
            if member.isreg() and wanted(in_usr(member.name)):
                yield in_usr(member.name), self._members.extractfile(member).read()

    @functools.cached_property
    def licence(self):
        """Of its copyright file: an SPDX expression, or None where that is not written for machines."""
        if self._licence:
            return copyright_file.expression(self._licence.read_text(errors="replace"))
        own = f"usr/share/doc/{self.name}"
        for path, data in self.contents(lambda path: path == f"{own}/copyright"):
            return copyright_file.expression(data.decode(errors="replace"))
        # Of some the folder, or the file, is a link to that of a package of the same source.
        for member in self._members:
            if member.issym() and in_usr(member.name) in (own, f"{own}/copyright"):
                other = member.linkname.replace("../", "").split("/")[0]
                if other in self._siblings:
                    return self._siblings[other].licence
        return None


class Packages:
    """The packages that image/fetch left in a folder."""

    def __init__(self, cache, architecture):
        # apt was told of the release (image/sources), in lines of "deb [options] URL suite component".
        suite = re.search(r"^deb \[.*\] \S+ (\w+) ", (cache / "apt/sources.list").read_text(), re.M)[1]
        self.packages = []
        for line in (cache / "archives.sha256").read_text().splitlines():
            sha256, name = line.split()
            file = cache / "archives" / name
            fields = paragraph(subprocess.run(["dpkg-deb", "--field", file], stdout=subprocess.PIPE, check=True, text=True).stdout)
            self.packages.append(Package(fields, suite, sha256, file))
        for package in self.packages:
            package._siblings = {other.name: other for other in self.packages}

    def that_gave(self, files):
        """Those of which one of FILES is, in their order. SystemExit where a file is of nobody."""
        owner = {path: package for package in self.packages for path in package.paths}
        ours = {str(path.relative_to(TOP / "dracut/95farrier/root"))
                for path in (TOP / "dracut/95farrier/root").rglob("*") if path.is_file()}
        names = {package.name: package for package in self.packages}
        gave, unknown = set(), []
        for path in files:
            if path in owner or path in MADE:
                gave.add(owner[path] if path in owner else names[MADE[path]])
            # Kernel modules that the build compresses.
            elif re.sub(r"\.zst$", "", path) in owner:
                gave.add(owner[re.sub(r"\.zst$", "", path)])
            elif path not in ours and not any(fnmatch.fnmatch(path, mask) for mask in OURS):
                unknown.append(path)
        if unknown:
            raise SystemExit("sbom: nobody knows where these files of the ramdisk come from; say it in "
                             f"{__file__}: {' '.join(unknown)}")
        return [package for package in self.packages if package in gave]

    def of_kernel(self, kernel):
        """The package of the kernel whose file is KERNEL."""
        for package in self.packages:
            if package.name.startswith("linux-"):
                for _, data in package.contents(lambda path: "/vmlinuz" in f"/{path}"):
                    if data == kernel:
                        return package
        raise SystemExit("sbom: no package has this kernel; build the ramdisk again (make ramdisk)")


def installed(path):
    """The package of this machine that has the file PATH."""
    found = subprocess.run(["dpkg-query", "--search", path], stdout=subprocess.PIPE, check=True, text=True).stdout
    name = found.split(": ")[0].split(",")[0]
    fields = paragraph(subprocess.run(["dpkg-query", "--status", name], stdout=subprocess.PIPE, check=True, text=True).stdout)
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', pathlib.Path("/etc/os-release").read_text(), re.M))
    return Package(fields, release.get("VERSION_CODENAME", "unknown"),
                   licence=pathlib.Path("/usr/share/doc") / fields["Package"] / "copyright")


def paragraph(text):
    """The fields of a control paragraph; lines that go on are joined."""
    return {key: re.sub(r"\n\s+", " ", value).strip()
            for key, value in re.findall(r"^([A-Za-z-]+):((?:.*)(?:\n[ \t].*)*)", text, re.M)}


def in_usr(path):
    return re.sub(r"^(bin|sbin|lib\w*)/", r"usr/\1/", path.removeprefix("./"))
