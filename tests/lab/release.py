"""Which Ironic the lab's conductor is, and what older ones do otherwise."""

import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lab import paths

# From these on in their series, and always from 29.0.0 on, a conductor reads results with the token
# (contract/control-plane 5.7).
READS_WITH_TOKEN = ((23, 0, 5), (24, 1, 4), (26, 1, 2))


@dataclass(frozen=True)
class Release:
    """An Ironic that `install-conductor` has installed, or the lab's own."""

    version: str
    venv: Path

    @classmethod
    def own(cls):
        """The one that the lab's other packages come with."""
        lock = Path(__file__).with_name('requirements.lock').read_text()
        return cls(re.search(r'^ironic==(\S+)', lock, re.M)[1], paths.VENV)

    @classmethod
    def of(cls, version):
        own = cls.own()
        return own if version == own.version else cls(version, paths.LAB / 'conductors' / version)

    @property
    def numbers(self):
        return tuple(int(part) for part in self.version.split('.'))

    @property
    def inspects(self):
        """Whether it has the `agent` inspect interface."""
        return self.numbers >= (23,)

    @property
    def reads_with_token(self):
        return self.numbers >= (29,) or any(self.numbers[:2] == since[:2] and self.numbers >= since
                                            for since in READS_WITH_TOKEN)

    @property
    def speaks_of_md5(self):
        """Whether its lookup says if MD5 checksums are allowed; between 21.4 and 24.1 nobody has looked."""
        return self.numbers >= (24, 1)

    @property
    def wants_bmc_user(self):
        """Whether it fails without the name of a BMC's user: 24.1 does, 29.0 does not."""
        return self.numbers < (29,)

    @property
    def hooks(self):
        """The names of its inspection hooks."""
        packages = self.venv.glob('lib/python3*/site-packages')
        ironic, = metadata.distributions(name='ironic', path=[str(path) for path in packages])
        return {entry.name for entry in ironic.entry_points.select(group='ironic.inspection.hooks')}

    def program(self, name):
        return self.venv / 'bin' / name

    def installed(self, path):
        """A file of its package `ironic`."""
        return next(self.venv.glob('lib/python3*/site-packages/ironic')) / path
