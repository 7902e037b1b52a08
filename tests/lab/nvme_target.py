"""A storage system that speaks NVMe over TCP: a second virtual server, whose kernel has it (nvmet)."""

import lzma
import re
import shutil
import tempfile
from pathlib import Path

from lab import paths
from lab.archive import append
from lab.hand import BUSYBOX
from lab.process import Process

ADDRESS = '192.0.2.9'
PORT = 4420

# The kernel's own modules, of which the ramdisk has none for targets.
_MODULES = ('virtio_pci', 'virtio_net', 'virtio_blk', 'configfs', 'nvmet', 'nvmet-tcp')

FOLDERS = ['dev', 'proc', 'sys', 'modules']

_INIT = '''\
#!/busybox sh
export PATH=/
/busybox mount -t devtmpfs none /dev
exec >/dev/console 2>&1
/busybox mount -t proc none /proc
/busybox mount -t sysfs none /sys
for module in $(/busybox cat /modules/order); do /busybox insmod /modules/$module; done
/busybox mount -t configfs none /sys/kernel/config
for card in /sys/class/net/e*; do
    /busybox ip link set ${{card##*/}} up
    /busybox ip address add {address}/24 dev ${{card##*/}}
done
cd /sys/kernel/config/nvmet
/busybox mkdir -p subsystems/{name}/namespaces/1 ports/1
echo 1 > subsystems/{name}/attr_allow_any_host
echo /dev/vda > subsystems/{name}/namespaces/1/device_path
echo 1 > subsystems/{name}/namespaces/1/enable
echo ipv4 > ports/1/addr_adrfam
echo tcp > ports/1/addr_trtype
echo {address} > ports/1/addr_traddr
echo {port} > ports/1/addr_trsvcid
/busybox ln -s subsystems/{name} ports/1/subsystems/{name} && echo target is ready
while :; do /busybox sleep 1000; done
'''


class NvmeTarget:
    """A subsystem of this NQN with one namespace, for the length of a `with`."""

    def __init__(self, lab, name, disk):
        self.name = name
        self._lab = lab
        self._disk = disk
        self._log = lab.run.logs / 'nvme_target.log'
        self._tap = 'nvmetarget'
        self._guest = None

    def __enter__(self):
        self._lab.network.add_tap(self._tap)
        # Behind what an earlier one said.
        offset = self._log.stat().st_size if self._log.exists() else 0
        try:
            self._guest = Process.start('nvme target', [
                'qemu-system-x86_64', '-nodefaults', '-no-user-config', '-machine', 'q35,graphics=off',
                '-accel', 'tcg', '-m', '256', '-display', 'none', '-serial', 'stdio', '-no-reboot',
                '-kernel', self._lab.kernel, '-initrd', self._initramfs(),
                '-append', 'console=ttyS0 quiet no_timer_check mitigations=off rdinit=/init panic=-1',
                '-netdev', f'tap,id=net,ifname={self._tap},script=no,downscript=no',
                '-device', 'virtio-net-pci,netdev=net,romfile=',
                '-drive', f'if=none,id=disk,format=raw,cache=unsafe,file={self._disk}',
                '-device', 'virtio-blk-pci,drive=disk',
            ], self._lab.run.namespace, self._log)
            self._guest.wait_until(lambda: b'target is ready' in self._log.read_bytes()[offset:], 120, 'target')
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self._guest:
            self._guest.stop()
        self._lab.network.remove_tap(self._tap)

    def _initramfs(self):
        target = self._lab.run.tmp / 'nvme_target.img'
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name in FOLDERS:
                (root / name).mkdir()
            shutil.copy(BUSYBOX, root / 'busybox')
            init = root / 'init'
            init.write_text(_INIT.format(name=self.name, address=ADDRESS, port=PORT))
            init.chmod(0o755)
            order = []
            for path in _with_dependencies(_MODULES):
                module = re.sub(r'\.(xz|zst)$', '', path.name)
                (root / 'modules' / module).write_bytes(_unpacked(path))
                order.append(module)
            (root / 'modules' / 'order').write_text('\n'.join(order) + '\n')
            # Behind no other ramdisk.
            return append(Path('/dev/null'), root, FOLDERS, target)


def _with_dependencies(names):
    """The files of these modules, each behind those that it needs; built-in ones have none."""
    [tree] = (paths.RAMDISK_FOLDER / 'chroot' / 'usr' / 'lib' / 'modules').iterdir()
    files = {re.sub(r'\.ko.*', '', path.name).replace('-', '_'): path for path in tree.rglob('*.ko*')}
    ordered = []

    def add(name):
        path = files.get(name.replace('-', '_'))
        if path is None or path in ordered:
            return
        needed = re.search(rb'\0depends=([^\0]*)\0', _unpacked(path))
        for other in needed[1].decode().split(','):
            add(other)
        ordered.append(path)

    for name in names:
        add(name)
    return ordered


def _unpacked(path):
    return lzma.decompress(path.read_bytes()) if path.suffix == '.xz' else path.read_bytes()
