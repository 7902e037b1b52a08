"""More files in a ramdisk: the kernel unpacks archives that stand one behind the other."""

import gzip
import subprocess
from pathlib import Path


def append(ramdisk: Path, root: Path, folders: list[str], target: Path) -> Path:
    """Writes the ramdisk with all files below `root` to `target`.

    `folders` are those that the ramdisk does not have yet. An entry for one that it has would replace
    what is there, modes and owners included.
    """
    files = [str(path.relative_to(root)) for path in sorted(root.rglob('*')) if path.is_file()]
    archive = subprocess.run(
        ['cpio', '-o', '-H', 'newc', '--quiet', '-R', '0:0'], cwd=root, check=True,
        input='\n'.join([*folders, *files]).encode(), capture_output=True).stdout
    target.write_bytes(ramdisk.read_bytes() + gzip.compress(archive, 1))
    target.chmod(0o644)
    return target
