#!/usr/bin/env python3
"""device_paths.py: what efibootmgr makes of device paths, into tests/fixtures/boot_entries/device_paths.json.

It plants a variable for each path in a folder that efibootmgr takes for efivarfs, and reads its list. With a
command as arguments, that is run in place of `efibootmgr`. Versions 17 (Debian 12) and 18 (Debian 13) say the same
of every path here. Both lose a path's last letters where it has some that are not ASCII's, so there is none with such.
"""

import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c'
ROOT = Path(__file__).parents[2]
GUID = uuid.UUID('6a1c5d1e-0a2b-4c3d-8e4f-0123456789ab').bytes_le
OVMF = uuid.UUID('7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1').bytes_le
END = b'\x7f\xff\x04\x00'


def node(kind, sub, *data):
    data = b''.join(data)
    return struct.pack('<BBH', kind, sub, len(data) + 4) + data


def numbers(form, *values):
    return struct.pack('<' + form, *values)


def file(path):
    return node(4, 4, path.encode('utf-16-le') + b'\0\0')


def gpt(number=1, start=2048, size=1 << 20):
    return node(4, 1, numbers('IQQ', number, start, size), GUID, b'\x02\x02')


def mbr(signature):
    return node(4, 1, numbers('IQQ', 2, 63, 204800), numbers('I', signature), bytes(12), b'\x01\x01')


def mac(kind=1):
    return node(3, 11, bytes.fromhex('525400a0b0c0'), bytes(26), bytes([kind]))


def ipv4(local, remote, port, protocol, static):
    return node(3, 12, bytes(local), bytes(remote), numbers('HHHB', 0, port, protocol, static), bytes(8))


def ipv6(local, remote):
    return node(3, 13, uuid.UUID(local).bytes, uuid.UUID(remote).bytes, numbers('HHHBB', 0, 0, 6, 0, 64), bytes(16))


def iscsi(options, name, lun=0):
    return node(3, 19, numbers('HH', 0, options), struct.pack('>Q', lun), numbers('H', 1), name)


ROOT_BRIDGE = node(2, 1, numbers('II', 0x0a0341d0, 0))
SLOT = ROOT_BRIDGE + node(1, 1, bytes([0, 3]))

PATHS = [
    gpt() + file('\\EFI\\debian\\shimx64.efi'),
    gpt(15, 34, 0xffff_ffff_ff) + file('\\EFI\\BOOT\\BOOTX64.EFI'),
    gpt(),
    gpt() + file('\\a'),
    mbr(0x1a2b3c4d) + file('\\EFI\\BOOT\\BOOTAA64.EFI'),
    mbr(0) + file('\\EFI\\redhat\\grubx64.efi'),
    node(4, 1, numbers('IQQ', 1, 0, 0), GUID, b'\x00\x00') + file('\\x.efi'),
    file('\\EFI\\only.efi'),
    SLOT + gpt() + file('\\EFI\\Microsoft\\Boot\\bootmgfw.efi'),
    SLOT + node(3, 23, numbers('I', 1), bytes(range(0xf8, 0x100))) + gpt() + file('\\EFI\\suse\\shim.efi'),
    SLOT + node(3, 18, numbers('HHH', 2, 0xffff, 0)),
    SLOT + node(3, 2, numbers('HH', 3, 1)),
    SLOT + node(3, 1, bytes([1, 0]), numbers('H', 2)),
    SLOT + node(3, 3, bytes(4), numbers('QQ', 0x2100_0024_ff12_3456, 5)),
    SLOT + node(3, 5, bytes([4, 1])) + node(3, 17, bytes([7])),
    SLOT + mac(),
    SLOT + mac(32),
    SLOT + mac() + ipv4([0] * 4, [0] * 4, 0, 0, 0),
    SLOT + mac() + ipv4([192, 0, 2, 7], [192, 0, 2, 1], 69, 17, 1),
    SLOT + mac() + ipv4([0] * 4, [0] * 4, 0, 0, 0) + node(3, 24),
    SLOT + mac() + node(3, 20, numbers('H', 42)) + node(3, 24, b'http://192.0.2.1/boot.efi'),
    SLOT + mac() + ipv4([0] * 4, [192, 0, 2, 1], 3260, 6, 0) + iscsi(0x0800, b'iqn.2024-01.org.example:disk'),
    iscsi(0x100a, b'iqn.2024-01.org.example:disk\0\0', 0x0001_0000_0000_0000),
    iscsi(0x0000, b'iqn.x'),
    node(4, 7, OVMF) + node(4, 6, GUID),
    node(4, 3, OVMF, b'\x01\x02'),
    node(4, 3, OVMF),
    node(4, 5, OVMF),
    node(4, 8, bytes(4), numbers('QQ', 16, 0x1fff)),
    SLOT + node(4, 2, numbers('IQQ', 0, 0x1c, 0x2000)),
    node(1, 4, OVMF),
    node(1, 4, OVMF, b'abc'),
    node(1, 5, numbers('I', 17)) + gpt(),
    node(3, 10, OVMF, b'\xff'),
    node(3, 10, OVMF) + mac(),
    node(3, 15, numbers('HHBBB', 0xffff, 0xffff, 0xff, 0xff, 0xff)),
    node(3, 15, numbers('HHBBB', 0x1234, 0xabcd, 0xff, 1, 2)),
    node(2, 1, numbers('II', 0x0a0841d0, 3)) + node(1, 1, bytes([1, 0x1f])),
    node(2, 1, numbers('II', 0x0a0341d0, 0x10)) + node(1, 1, bytes([7, 2])),
    node(2, 1, numbers('II', 0x111141d0, 1)) + node(1, 1, bytes([7, 2])),
    node(5, 1, numbers('HH', 2, 0), b'Hard Disk\0'),
    node(5, 1, numbers('HH', 0x80, 0x14), b'Embedded NIC\0'),
    gpt() + b'\x7f\x01\x04\x00' + mac(),
]


def listing(command, paths):
    with tempfile.TemporaryDirectory() as folder:
        def plant(name, value):
            Path(folder, f'{name}-{GLOBAL}').write_bytes(numbers('I', 7) + value)
        for number, path in enumerate(paths):
            path += END
            plant(f'Boot{number:04X}', numbers('IH', 1, len(path)) + 'x'.encode('utf-16-le') + b'\0\0' + path)
        plant('BootOrder', b''.join(numbers('H', number) for number in range(len(paths))))
        plant('BootCurrent', numbers('H', 0))
        answer = subprocess.run([*command, '-v'], check=True, capture_output=True, text=True,
                                env=os.environ | {'EFIVARFS_PATH': folder + '/'}).stdout
    texts = dict(re.findall(r'^Boot([0-9A-F]{4})\* x\t(.*)$', answer, re.MULTILINE))
    return [texts[f'{number:04X}'] for number in range(len(paths))]


def main():
    texts = listing(sys.argv[1:] or ['efibootmgr'], PATHS)
    cases = [{'path': (path + END).hex(), 'text': text} for path, text in zip(PATHS, texts, strict=True)]
    target = ROOT / 'tests/fixtures/boot_entries/device_paths.json'
    target.write_text(json.dumps(cases, indent=1, ensure_ascii=False) + '\n')
    print(f'{target}: {len(cases)} paths')


if __name__ == '__main__':
    main()
