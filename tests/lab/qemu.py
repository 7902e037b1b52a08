"""The QEMU command line of a server."""

import shutil
from errno import EIO
from pathlib import Path

from lab.architecture import ARCHITECTURES
from lab.write_log import write_log_paths

# What keeps its variables from everybody but itself, and variables with Microsoft's keys: Secure Boot is on.
SECURE_CODE = Path('/usr/share/OVMF/OVMF_CODE_4M.secboot.fd')
SECURE_VARS = Path('/usr/share/OVMF/OVMF_VARS_4M.ms.fd')


def command(hardware, folder, *, uefi, boot_device, media, script):
    """Builds the arguments.

    `hardware` is the server's description (server.json), `boot_device` Redfish's Pxe, Hdd or Cd,
    `media` maps Cd and Floppy to image files, `script` is the BootScript of a direct boot or
    None. KVM is never used: the lab must run, and time the same, where there is none.
    """
    architecture = ARCHITECTURES[hardware['architecture']]
    arguments = [
        architecture.program, '-name', hardware['name'], '-nodefaults', '-no-user-config',
        '-machine', architecture.machine, '-accel', 'tcg,thread=multi',
        '-smp', str(hardware['cpus']), '-m', str(hardware['memory_mib']),
        '-uuid', hardware['uuid'],
        '-smbios', f'type=1,manufacturer=Farrier,product=Lab,serial={hardware["serial"]},'
                   f'uuid={hardware["uuid"]}',
        '-display', 'none', '-serial', 'stdio', '-no-reboot', '-boot', 'strict=on',
        '-device', 'virtio-rng-pci',
        '-qmp', f'unix:{folder}/qmp.sock,server=on,wait=off',
        '-qmp', f'unix:{folder}/bmc.sock,server=on,wait=off',
    ]
    if cpu := hardware.get('cpu') or architecture.cpu:
        arguments += ['-cpu', cpu]
    if uefi:
        arguments += _firmware(folder, architecture, hardware.get('secure_boot'))
    if script:
        arguments += ['-kernel', script.kernel, '-initrd', script.ramdisk,
                      '-append', script.parameters]
    order = iter(range(1, 100))
    first = {'Pxe': _cards, 'Cd': _media}.get(boot_device)
    if first is _cards:
        arguments += _cards(hardware, uefi, order)
    if first is _media:
        arguments += _media(media, order)
    arguments += _disks(hardware, folder, order)
    if first is not _cards:
        arguments += _cards(hardware, uefi, None)
    if first is not _media:
        arguments += _media(media, None)
    return [str(argument) for argument in arguments + list(hardware.get('arguments', []))]


def _firmware(folder, architecture, secure_boot):
    variables = Path(folder, 'efivars.fd')
    if not variables.exists():
        shutil.copy(SECURE_VARS if secure_boot else architecture.variables, variables)
    # In system management mode alone the firmware writes to the flash: q35 has that mode by itself.
    keep = ['-global', 'driver=cfi.pflash01,property=secure,value=on'] if secure_boot else []
    code = SECURE_CODE if secure_boot else architecture.code
    return keep + [
        '-drive', f'if=pflash,unit=0,format=raw,readonly=on,file={code}',
        '-drive', f'if=pflash,unit=1,format=raw,file={variables}']


def _cards(hardware, uefi, order):
    arguments = []
    for number, card in enumerate(hardware['cards']):
        device = f'{card["model"]},netdev=net{number},mac={card["mac"]}'
        if order:
            device += f',bootindex={next(order)}'
        if uefi and card['firmware_pxe']:
            # Without QEMU's iPXE ROM the firmware does PXE itself, as most real servers do.
            device += ',romfile='
        arguments += ['-netdev', f'{_wire(card)},id=net{number}', '-device', device]
    return arguments


def _wire(card):
    if not card['wire']:
        return f'tap,ifname={card["tap"]},script=no,downscript=no'
    return (f'dgram,local.type=unix,local.path={card["wire"]["card"]},'
            f'remote.type=unix,remote.path={card["wire"]["switch"]}')


def _disks(hardware, folder, order):
    arguments = []
    if any(disk['bus'] == 'scsi' for disk in hardware['disks']):
        arguments += ['-device', 'virtio-scsi-pci,id=scsi']
    for number, disk in enumerate(hardware['disks']):
        if not disk['plugged']:
            continue
        arguments += ['-drive', f'if=none,id=disk{number},discard=unmap,'
                                + _disk_file(disk, Path(folder, f'disk{number}.img'))]
        device = {
            'virtio': 'virtio-blk-pci', 'nvme': 'nvme',
            'sata': f'ide-hd,bus=ide.{number}', 'scsi': 'scsi-hd,bus=scsi.0',
            'card': f'scsi-hd,bus=card{number}.0',
            'ufs': f'ufs-lu,bus=ufs{number},lun=0',
        }[disk['bus']]
        if disk['bus'] == 'card':
            arguments += ['-device', f'pcie-root-port,id=bridge{number},chassis={number + 1}',
                          '-device', f'virtio-scsi-pci,id=card{number},bus=bridge{number}']
        if disk['bus'] == 'ufs':
            # It cannot be booted from, so it has no place in the firmware's order either.
            arguments += ['-device', f'ufs,id=ufs{number}', '-device', f'{device},drive=disk{number}']
            continue
        if disk['model']:
            device += f',product={disk["model"]}'
        device += f',drive=disk{number},serial={disk["serial"]},bootindex={next(order)}'
        if disk['sector'] != 512:
            device += (f',logical_block_size={disk["sector"]},'
                       f'physical_block_size={disk["sector"]}')
        if disk['bus'] in ('sata', 'scsi'):
            device += f',rotation_rate={7200 if disk["rotational"] else 1}'
        if not disk['discard']:
            device += ',discard=off,write-zeroes=off'
        arguments += ['-device', device]
    return arguments


def _disk_file(disk, path):
    if disk['bad_mib'] is not None:
        # blkdebug counts in sectors of 512 bytes, whatever the disk's are.
        fault = f'errno={EIO},file.inject-error.0.sector={disk["bad_mib"] * 2048 + disk["bad_sector"]}'
        return ('format=raw,cache=unsafe,file.driver=blkdebug,file.image.driver=file,'
                f'file.image.filename={path},file.inject-error.0.event=none,'
                f'file.inject-error.0.iotype=write,file.inject-error.0.{fault}')
    if not disk['logged']:
        # The host's page cache outlives a killed QEMU, so flushing it to the host's disk would only
        # cost time.
        return f'format=raw,cache=unsafe,file={path}'
    log = next(log for log in write_log_paths(path) if not log.exists())
    log.touch()
    # No cache=unsafe here: it drops the flushes before they come to the log.
    return (f'driver=blklogwrites,file.driver=file,file.filename={path},'
            f'log.driver=file,log.filename={log},log-sector-size={disk["sector"]},'
            'log-super-update-interval=1')


def _media(media, order):
    arguments = []
    if media.get('Cd'):
        index = f',bootindex={next(order)}' if order else ''
        arguments += ['-drive', f'if=none,id=cd,format=raw,media=cdrom,file={media["Cd"]}',
                      '-device', f'ide-cd,bus=ide.5,drive=cd{index}']
    if media.get('Floppy'):
        arguments += ['-device', 'qemu-xhci', '-drive',
                      f'if=none,id=stick,format=raw,readonly=on,file={media["Floppy"]}',
                      '-device', 'usb-storage,drive=stick,removable=on']
    return arguments
