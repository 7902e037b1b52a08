"""Partition tables, byte by byte, and where farrier reads one otherwise than the kernel.

A case without a reason wants the kernel's partitions: number, start and size. Of a GPT the names
that the kernel makes of the entries' are recorded too.
Each case is built for disks with blocks of 512 and of 4096 bytes, unless it says otherwise.
"""

import struct
import uuid
import zlib

REASONS = {
    'not whole': 'A partition of an MBR that does not lie on the disk belongs to an image for a larger one. '
                 'The kernel cuts it off, and its file system would not be mounted; a deploy must say so.',
    'contradicts': 'A GPT whose partitions overlap, end before they start or do not lie on the disk is '
                   'refused before anything is added to it. The kernel leaves out what lies beyond the disk '
                   'and shows the rest.',
    'loop': 'A chain that comes back to a link that it had would show the same partitions again and again '
            'until the kernel\'s 255 are used up. Each is listed once.',
    'mended': 'The backup of a GPT stands in for a damaged first copy, and usable blocks beyond the disk are '
              'those of a larger one: a deploy writes the table anew, and then the kernel sees it.',
    'entry size': 'UEFI allows entries of 256 bytes and more. The kernel reads none but 128.',
    'usable': 'Blocks before the third cannot be usable: the table is in them.',
    'entries': 'A table may have 1 MiB of entries; 16 KiB are usual. The kernel takes 4 MiB.',
    'leads back': 'An extended partition that begins with the disk would make the MBR a link of its own chain.',
}

EFI = uuid.UUID('c12a7328-f81f-11d2-ba4b-00a0c93ec93b')
LINUX = uuid.UUID('0fc63daf-8483-4772-8e79-3d69d8477de4')
SIZE = 2 << 20


class Disk:
    """What is written to a disk, in blocks of its own size."""

    def __init__(self, block, size=SIZE):
        self.block = block
        self.size = size
        self.blocks = size // block
        self.content = {}

    def write(self, offset, data):
        """Bytes anywhere; kept in pieces of 512."""
        data = bytes(data)
        while data:
            place, within = divmod(offset, 512)
            piece = self.content.setdefault(place, bytearray(512))
            count = min(512 - within, len(data))
            piece[within:within + count] = data[:count]
            data = data[count:]
            offset += count

    def table(self, at, entries, signature=True):
        """A record with these entries at this block: (slot, type, start, count[, flag])."""
        record = at * self.block
        for slot, kind, start, count, *flag in entries:
            self.write(record + 446 + slot * 16,
                       struct.pack('<B3sB3sII', flag[0] if flag else 0, b'\xfe\xff\xff', kind,
                                   b'\xfe\xff\xff', start, count))
        if signature:
            self.write(record + 510, b'\x55\xaa')

    def mbr(self, *entries, **options):
        self.write(440, b'\x4d\x3c\x2b\x1a')
        self.table(0, entries, **options)

    def protect(self, *entries):
        self.mbr(*(entries or [(0, 0xee, 1, self.blocks - 1)]))

    def gpt(self, partitions, count=128, size=128, **fields):
        """Both copies; a partition is (index, type, first, last[, name[, attributes]])."""
        entries = bytearray(count * size)
        for index, kind, first, last, *more in partitions:
            name = more[0] if more else ''
            attributes = more[1] if len(more) > 1 else 0
            own = more[2] if len(more) > 2 else uuid.UUID(int=0xaaaaaaaa_0000_4000_8000_000000000000 + index)
            entry = struct.pack('<16s16sQQQ72s', kind.bytes_le, own.bytes_le, first, last, attributes,
                                name.encode('utf-16-le') if isinstance(name, str) else name)
            entries[index * size:index * size + 128] = entry
        taken = -(-len(entries) // self.block)
        end = self.blocks - 1
        values = {'revision': 0x10000, 'header_size': 92, 'own': 1, 'other': end,
                  'first': 2 + taken, 'last': end - 1 - taken, 'entries': 2, 'signature': b'EFI PART'}
        damage = fields.pop('damage', ())
        for copy, defaults in [('backup', {'own': end, 'other': 1, 'entries': end - taken}), ('primary', {})]:
            chosen = {**values, **defaults, **(fields if copy == 'primary' else
                      {name: value for name, value in fields.items() if name in ('first', 'last')})}
            if copy == 'backup' and 'other' in fields and fields['other'] < end:
                chosen['own'] = fields['other']
                chosen['entries'] = chosen['own'] - taken
            if copy in damage:
                continue
            header = bytearray(max(chosen['header_size'], 92))
            struct.pack_into('<8sIIIIQQQQ16sQIII', header, 0, chosen['signature'], chosen['revision'],
                             chosen['header_size'], 0, 0, chosen['own'], chosen['other'], chosen['first'],
                             chosen['last'], uuid.UUID(int=0xdd).bytes_le, chosen['entries'], count, size,
                             zlib.crc32(entries))
            struct.pack_into('<I', header, 16, zlib.crc32(header[:chosen['header_size']]))
            place = chosen.get('place', chosen['own'])
            self.write(chosen['entries'] * self.block, entries)
            self.write(place * self.block, header)
        for copy in damage:
            if copy == 'checksum':
                self.write(self.block + 56, b'\xff')
            if copy == 'entries':
                self.write(2 * self.block + 200, b'\xff')


CASES = []


def case(title, why=None, blocks=(512, 4096), size=SIZE):
    def add(build):
        CASES.extend((f'{title}, {block}', why, block, size, build) for block in blocks)
        return build
    return add


# Primary partitions

@case('four primary partitions')
def _(disk):
    disk.mbr((0, 0x83, 8, 16, 0x80), (1, 0x0c, 32, 16), (2, 0x82, 64, 16), (3, 0xef, 96, 16))


@case('primary partitions with a hole and out of order')
def _(disk):
    disk.mbr((1, 0x83, 96, 16), (3, 0x83, 8, 16))


@case('entries with a type and no extent')
def _(disk):
    disk.mbr((0, 0x83, 8, 0), (1, 0x05, 8, 0), (2, 0x83, 32, 8))


@case('an entry with an extent and no type, as on Debian\'s installation images')
def _(disk):
    disk.mbr((0, 0, 0, 200, 0x80), (1, 0xef, 8, 16))


@case('an isohybrid that begins with the disk')
def _(disk):
    disk.mbr((0, 0x17, 0, 200, 0x80), (1, 0xef, 8, 16))


@case('primary partitions that overlap')
def _(disk):
    disk.mbr((0, 0x83, 8, 32), (1, 0x83, 16, 64), (2, 0x83, 8, 32))


@case('no signature')
def _(disk):
    disk.mbr((0, 0x83, 8, 16), signature=False)


@case('no partitions')
def _(disk):
    disk.mbr()


@case('a flag that is none in the first entry')
def _(disk):
    disk.mbr((0, 0x83, 8, 16, 0x81))


@case('a flag that is none in the last entry')
def _(disk):
    disk.mbr((0, 0x83, 8, 16), (3, 0x83, 32, 16, 1))


@case('a FAT boot sector whose code lies where the table would be')
def _(disk):
    disk.write(0, b'\xeb\x3c\x90MSDOS5.0' + struct.pack('<HBHBHHB', 512, 4, 1, 2, 512, 4096, 0xf8))
    disk.write(446, bytes(range(0x20, 0x60)))
    disk.write(510, b'\x55\xaa')


@case('a FAT boot sector as mkfs.fat writes it')
def _(disk):
    disk.write(0, b'\xeb\x3c\x90mkfs.fat' + struct.pack('<HBHBHHB', 512, 4, 1, 2, 512, 4096, 0xf8))
    disk.write(62, b'This is not a bootable disk.\r\n')
    disk.write(510, b'\x55\xaa')


@case('an NTFS boot sector')
def _(disk):
    disk.write(0, b'\xeb\x52\x90NTFS    ' + struct.pack('<HBHBHHB', 512, 8, 0, 0, 0, 0, 0xf8))
    disk.write(424, b'\r\nDisk read error\0\r\nBOOTMGR is compressed\0\r\nPress Ctrl+Alt+Del to restart\r\n\0')
    disk.write(510, b'\x55\xaa')


@case('an AIX disk')
def _(disk):
    disk.write(0, b'\xc9\xc2\xd4\xc1')
    disk.write(7 * 512, b'_LVM')
    disk.table(0, [(0, 0x41, 8, 16)])


@case('an AIX mark beside a Linux partition')
def _(disk):
    disk.write(0, b'\xc9\xc2\xd4\xc1')
    disk.write(7 * 512, b'_LVM')
    disk.table(0, [(0, 0x41, 64, 16), (1, 0x83, 96, 16)])


@case('an AIX mark without the volume manager\'s')
def _(disk):
    disk.write(0, b'\xc9\xc2\xd4\xc1')
    disk.table(0, [(0, 0x41, 64, 16)])


@case('the type of Windows\' dynamic disks without their database')
def _(disk):
    disk.mbr((0, 0x42, 8, 16))


@case('a primary partition that ends beyond the disk', 'not whole')
def _(disk):
    disk.mbr((0, 0x83, 8, 16), (1, 0x83, 64, disk.blocks))


@case('a primary partition that begins beyond the disk', 'not whole')
def _(disk):
    disk.mbr((0, 0x83, 8, 16), (1, 0x83, disk.blocks, 16))


@case('a protective entry that begins elsewhere, without a GPT')
def _(disk):
    disk.mbr((0, 0xee, 2, 100), (1, 0x83, 128, 16))


# Extended partitions: a link's own start counts from the link, the next one's from the container.

for kind in (0x05, 0x0f, 0x85):
    @case(f'three logical partitions in an extended one of type {kind:#04x}')
    def _(disk, kind=kind):
        disk.mbr((0, 0x83, 8, 8), (1, kind, 32, 160))
        disk.table(32, [(0, 0x83, 2, 10), (1, 5, 20, 20)])
        disk.table(52, [(0, 0x82, 2, 10), (1, 5, 60, 30)])
        disk.table(92, [(0, 0x83, 2, 10)])


@case('links of the types 0x0f and 0x85')
def _(disk):
    disk.mbr((0, 0x0f, 32, 160))
    disk.table(32, [(0, 0x83, 2, 10), (1, 0x0f, 20, 20)])
    disk.table(52, [(0, 0x83, 2, 10), (1, 0x85, 60, 30)])
    disk.table(92, [(0, 0x83, 2, 10)])


@case('logical partitions out of the disk\'s order')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 0x83, 2, 10), (1, 5, 100, 20)])
    disk.table(132, [(0, 0x83, 2, 10), (1, 5, 20, 20)])
    disk.table(52, [(0, 0x83, 2, 10), (1, 5, 60, 30)])
    disk.table(92, [(0, 0x83, 2, 10)])


@case('the link before the partition\'s own entry')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 5, 20, 20), (1, 0x83, 2, 10)])
    disk.table(52, [(0, 0x83, 2, 10)])


@case('own entry and link in the last two slots')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(2, 0x83, 2, 10), (3, 5, 20, 20)])
    disk.table(52, [(3, 0x83, 2, 10)])


@case('an empty first link')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(1, 5, 20, 20)])
    disk.table(52, [(0, 0x83, 2, 10), (1, 5, 60, 30)])
    disk.table(92, [(0, 0x83, 2, 10)])


@case('an empty link between two')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 0x83, 2, 10), (1, 5, 20, 20)])
    disk.table(52, [(0, 0x83, 2, 0), (1, 5, 60, 30)])
    disk.table(92, [(0, 0x83, 2, 10)])


@case('an empty link that leads by its first entry')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 5, 20, 20)])
    disk.table(52, [(0, 0x83, 2, 10)])


@case('a logical partition without a type')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 0, 2, 10), (1, 5, 20, 20)])
    disk.table(52, [(0, 0x83, 2, 10)])


@case('all four entries of a record used, as OS/2 does')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 0x83, 2, 4), (1, 5, 60, 20), (2, 0x83, 10, 4), (3, 0x83, 20, 4)])
    disk.table(92, [(0, 0x83, 2, 10)])


@case('rubbish in the last two slots')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 0x83, 2, 4), (1, 5, 60, 20), (2, 0x20, 0x20202020, 0x20202020),
                    (3, 0x83, 150, 30)])
    disk.table(92, [(0, 0x83, 2, 10), (2, 0x83, 4, 40), (3, 0x83, 4, 10)])


@case('two links in one record')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 0x83, 2, 4), (1, 5, 60, 20), (2, 5, 20, 20)])
    disk.table(52, [(0, 0x83, 2, 10)])
    disk.table(92, [(0, 0x83, 2, 10)])


@case('a link without an extent before one with it')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 5, 60, 0), (1, 0x83, 2, 4), (2, 5, 20, 20)])
    disk.table(52, [(0, 0x83, 2, 10)])
    disk.table(92, [(0, 0x83, 2, 10)])


@case('two extended partitions')
def _(disk):
    disk.mbr((0, 0x05, 96, 64), (2, 0x0f, 32, 64))
    disk.table(96, [(0, 0x83, 2, 4), (1, 5, 20, 20)])
    disk.table(116, [(0, 0x83, 2, 10)])
    disk.table(32, [(0, 0x83, 2, 4), (1, 5, 20, 20)])
    disk.table(52, [(0, 0x83, 2, 10)])


@case('an extended partition without a chain')
def _(disk):
    disk.mbr((0, 0x83, 8, 8), (1, 0x05, 32, 160))


@case('an extended partition of one block')
def _(disk):
    disk.mbr((0, 0x83, 8, 8), (1, 0x05, 32, 1))
    disk.table(32, [(0, 0x83, 2, 10)])


@case('a logical partition that leaves its container')
def _(disk):
    disk.mbr((0, 0x05, 32, 32))
    disk.table(32, [(0, 0x83, 2, 100)])


@case('a link that leaves its container')
def _(disk):
    disk.mbr((0, 0x05, 32, 32))
    disk.table(32, [(0, 0x83, 2, 10), (1, 5, 100, 20)])
    disk.table(132, [(0, 0x83, 2, 10)])


@case('a link that leaves the disk')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 0x83, 2, 10), (1, 5, disk.blocks, 20)])


@case('a record without a signature')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 0x83, 2, 10), (1, 5, 20, 20)])
    disk.table(52, [(0, 0x83, 2, 10)], signature=False)


@case('flags that are none in a link')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 0x83, 2, 10, 0x55), (1, 5, 20, 20, 0x33)])
    disk.table(52, [(0, 0x83, 2, 10)])


@case('a logical partition that ends beyond the disk', 'not whole')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 0x83, 2, disk.blocks), (1, 5, 20, 20)])
    disk.table(52, [(0, 0x83, 2, 10)])


@case('a logical partition that begins beyond the disk', 'not whole')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 0x83, disk.blocks, 10), (1, 5, 20, 20)])
    disk.table(52, [(0, 0x83, 2, 10)])


@case('an extended partition that ends beyond the disk', 'not whole')
def _(disk):
    disk.mbr((0, 0x05, 32, disk.blocks))
    disk.table(32, [(0, 0x83, 2, 10)])


@case('a link that leads to itself', 'loop')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 0x83, 2, 10), (1, 5, 20, 20)])
    disk.table(52, [(0, 0x83, 2, 10), (1, 5, 20, 20)])


@case('two links that lead to each other', 'loop')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 0x83, 2, 10), (1, 5, 20, 20)])
    disk.table(52, [(0, 0x83, 2, 10), (1, 5, 60, 20)])
    disk.table(92, [(0, 0x83, 2, 10), (1, 5, 20, 20)])


@case('an empty link that leads to itself')
def _(disk):
    disk.mbr((0, 0x05, 32, 160))
    disk.table(32, [(0, 0x83, 2, 10), (1, 5, 20, 20)])
    disk.table(52, [(1, 5, 20, 20)])


@case('an extended partition that begins with the disk', 'leads back')
def _(disk):
    disk.mbr((0, 0x05, 0, 160), (1, 0x83, 64, 8))


for empty in (99, 100):
    @case(f'{empty} empty links before a partition')
    def _(disk, empty=empty):
        disk.mbr((0, 0x05, 32, 400))
        for at in range(empty):
            disk.table(32 + at, [(1, 5, at + 1, 1)])
        disk.table(32 + empty, [(0, 0x83, 2, 10)])


@case('more logical partitions than the kernel counts')
def _(disk):
    disk.mbr((0, 0x05, 8, 400))
    for at in range(260):
        disk.table(8 + at, [(0, 0x83, 80, 1), (1, 5, at + 1, 1)])


@case('logical partitions behind three primary ones')
def _(disk):
    disk.mbr((0, 0x83, 8, 8), (1, 0x83, 16, 8), (2, 0x05, 32, 32), (3, 0x83, 96, 8))
    disk.table(32, [(0, 0x83, 2, 10), (1, 5, 20, 10)])
    disk.table(52, [(0, 0x83, 2, 4)])


# Partitions within partitions

# What these systems keep counts sectors of 512 bytes on every disk.

def bsd(disk, slices, base):
    """A label in the partition at block 64; starts are counted from `base`."""
    label = bytearray(512)
    struct.pack_into('<I', label, 0, 0x82564557)
    struct.pack_into('<I', label, 132, 0x82564557)
    struct.pack_into('<H', label, 138, len(slices))
    for index, (start, count, kind) in enumerate(slices):
        struct.pack_into('<IIIBBH', label, 148 + index * 16, count, base + start, 2048, kind, 8, 1)
    disk.write(64 * disk.block + 512, label)


for kind, absolute in ((0xa5, 0), (0xa5, 1), (0xa9, 1), (0xa6, 1), (0xa9, 0)):
    @case(f'BSD slices in a partition of type {kind:#04x}, counted from {"the disk" if absolute else "there"}')
    def _(disk, kind=kind, absolute=absolute):
        unit = disk.block // 512
        disk.mbr((0, kind, 64, 256), (1, 5, 400, 100))
        disk.table(400, [(0, 0x83, 2, 10)])
        bsd(disk, [(16, 32, 7), (64, 0, 1), (0, 256 * unit, 0), (0, 256 * unit, 7), (80, 32, 1), (2, 3000, 7),
                   (100, 4, 0), (128, 64, 8)], 64 * unit * absolute)


@case('a Minix partition')
def _(disk):
    disk.mbr((0, 0x81, 64, 256))
    disk.table(64, [(0, 0x81, 1000, 32), (1, 0x83, 1200, 8), (2, 0x81, 1500, 3)])


@case('a Minix partition with a file system at once')
def _(disk):
    disk.mbr((0, 0x81, 64, 256))
    disk.table(64, [(1, 0x81, 1000, 32)])


@case('a UnixWare partition')
def _(disk):
    disk.mbr((2, 0x63, 64, 256))
    label = bytearray(512)
    struct.pack_into('<I', label, 4, 0xca5e600d)
    struct.pack_into('<I', label, 156, 0x600ddeee)
    for index, kind, start, count in ((0, 5, 0, 4000), (1, 2, 700, 30), (3, 3, 800, 0), (15, 1, 900, 9)):
        struct.pack_into('<HHII', label, 216 + index * 12, kind, 0x200, start, count)
    disk.write(64 * disk.block + 29 * 512, label)


for kind, count in ((0xbf, 8), (0x82, 8), (0xbf, 16)):
    @case(f'a Solaris partition of type {kind:#04x} with {count} slices')
    def _(disk, kind=kind, count=count):
        disk.mbr((0, kind, 64, 256), (3, 0xa5, 350, 100))
        table = bytearray(512)
        struct.pack_into('<12xII8sHH', table, 0, 0x600ddeee, 1, b'solaris', 512, count)
        for index, start, size in ((0, 16, 32), (2, 0, 200), (5, 60, 0), (7, 60, 9), (12, 90, 9)):
            struct.pack_into('<HHII', table, 72 + index * 12, 2, 0, start, size)
        disk.write(64 * disk.block + 512, table)


@case('a Solaris partition of another version')
def _(disk):
    disk.mbr((0, 0xbf, 64, 256))
    table = bytearray(512)
    struct.pack_into('<12xII8sHH40xHHII', table, 0, 0x600ddeee, 2, b'solaris', 512, 8, 2, 0, 16, 32)
    disk.write(64 * disk.block + 512, table)


@case('slices that leave the disk')
def _(disk):
    disk.mbr((0, 0x81, 64, 256))
    sectors = disk.size // 512
    disk.table(64, [(0, 0x81, sectors - 8, 32), (1, 0x81, sectors, 8), (2, 0x81, 1500, 3)])


@case('a swap partition, whose type was Solaris\' too')
def _(disk):
    disk.mbr((0, 0x82, 64, 256))


@case('a partition of a BSD without a label')
def _(disk):
    disk.mbr((0, 0xa5, 64, 128))


# GUID partition tables

def two(disk, **more):
    first = 40
    disk.gpt([(0, EFI, first, first + 15, 'EFI System Partition'), (1, LINUX, first + 24, first + 55, 'root')],
             **more)


@case('a GPT')
def _(disk):
    disk.protect()
    two(disk)


@case('a GPT with holes, out of the disk\'s order')
def _(disk):
    disk.protect()
    disk.gpt([(2, LINUX, 90, 99, 'third'), (6, LINUX, 40, 49, 'seventh'), (127, LINUX, 60, 69, 'last')])


@case('names in no ASCII, attributes of every kind, a GUID used twice and none')
def _(disk):
    own = uuid.UUID(int=5)
    disk.protect()
    disk.gpt([(0, LINUX, 40, 49, 'größe\tü', 0xffffffffffffffff, own), (1, LINUX, 50, 59, b'\xff' * 72, 1, own),
              (2, LINUX, 60, 69, 'x' * 36, 4, uuid.UUID(int=0)), (3, LINUX, 70, 79, b'\0\0a\0', 0)])


@case('a protective entry of another size')
def _(disk):
    disk.protect((0, 0xee, 1, 77))
    two(disk)


@case('a protective entry of the largest size, in the third slot, bootable')
def _(disk):
    disk.protect((2, 0xee, 1, 0xffffffff, 0x80))
    two(disk)


@case('a protective entry with a flag that is none')
def _(disk):
    disk.protect((0, 0xee, 1, disk.blocks - 1, 0x7f))
    two(disk)


@case('a protective entry without an extent')
def _(disk):
    disk.protect((0, 0xee, 1, 0))
    two(disk)


@case('a protective entry that begins in the second block behind the MBR')
def _(disk):
    disk.protect((0, 0xee, 2, disk.blocks - 2))
    two(disk)


@case('a protective entry that begins with the disk')
def _(disk):
    disk.protect((0, 0xee, 0, disk.blocks))
    two(disk)


@case('a hybrid MBR')
def _(disk):
    disk.protect((0, 0xee, 1, 39), (1, 0x83, 64, 32), (2, 0x0c, 40, 16, 0x80))
    two(disk)


@case('a hybrid MBR whose protective entry is the last')
def _(disk):
    disk.protect((0, 0x83, 64, 32, 0x80), (3, 0xee, 1, 39))
    two(disk)


@case('a hybrid MBR with a partition beyond the disk')
def _(disk):
    disk.protect((0, 0xee, 1, 39), (1, 0x83, disk.blocks, 32))
    two(disk)


@case('a GPT without a protective MBR')
def _(disk):
    two(disk)


@case('a GPT behind an MBR with partitions of its own')
def _(disk):
    disk.mbr((0, 0x83, 100, 16))
    two(disk)


@case('a protective MBR without a GPT')
def _(disk):
    disk.protect()


@case('the first header is gone', 'mended')
def _(disk):
    disk.protect()
    two(disk, damage=('primary',))


@case('the first header\'s checksum is wrong', 'mended')
def _(disk):
    disk.protect()
    two(disk, damage=('checksum',))


@case('the first entries are damaged', 'mended')
def _(disk):
    disk.protect()
    two(disk, damage=('entries',))


@case('the backup is gone')
def _(disk):
    disk.protect()
    two(disk, damage=('backup',))


@case('the backup is where a smaller disk ended')
def _(disk):
    disk.protect()
    two(disk, other=disk.blocks - 100, last=disk.blocks - 200)


@case('the backup is said to be beyond the disk')
def _(disk):
    disk.protect()
    two(disk, other=disk.blocks + 100)


@case('a revision that is none')
def _(disk):
    disk.protect()
    two(disk, revision=0x20000)


@case('a header as long as a block')
def _(disk):
    disk.protect()
    two(disk, header_size=disk.block)


@case('a header longer than a block', 'mended')
def _(disk):
    disk.protect()
    two(disk, header_size=disk.block + 8)


@case('a header that is too short', 'mended')
def _(disk):
    disk.protect()
    two(disk, header_size=91)


@case('a header that belongs into another block', 'mended')
def _(disk):
    disk.protect()
    two(disk, own=2, place=1)


@case('usable blocks up to the disk\'s end')
def _(disk):
    disk.protect()
    two(disk, last=disk.blocks - 1)


@case('usable blocks beyond the disk', 'mended')
def _(disk):
    disk.protect()
    two(disk, last=disk.blocks + 50)


@case('usable blocks from beyond the disk')
def _(disk):
    disk.protect()
    two(disk, first=disk.blocks, last=disk.blocks)


@case('usable blocks that end before they begin')
def _(disk):
    disk.protect()
    two(disk, first=60, last=59)


@case('usable blocks from the beginning', 'usable')
def _(disk):
    disk.protect()
    two(disk, first=0)


@case('partitions outside the usable blocks')
def _(disk):
    disk.protect()
    two(disk, first=50, last=60)


@case('entries far from the header')
def _(disk):
    disk.protect()
    two(disk, entries=120)


@case('entries that leave the disk')
def _(disk):
    disk.protect()
    two(disk, entries=disk.blocks - 1, damage=('backup',))


@case('four entries')
def _(disk):
    disk.protect()
    two(disk, count=4)


@case('no entries')
def _(disk):
    disk.protect()
    disk.gpt([], count=0)


@case('entries of 256 bytes', 'entry size')
def _(disk):
    disk.protect()
    two(disk, size=256)


@case('more entries than the kernel counts', size=4 << 20)
def _(disk):
    disk.protect()
    disk.gpt([(0, LINUX, 200, 209), (254, LINUX, 210, 219), (255, LINUX, 220, 229), (300, LINUX, 230, 239)],
             count=512)


@case('2 MiB of entries', 'entries', (4096,), 8 << 20)
def _(disk):
    disk.protect()
    disk.gpt([(0, LINUX, 1000, 1009)], count=16384, damage=('backup',))


@case('a partition without extent: its end is before its start', 'contradicts')
def _(disk):
    disk.protect()
    disk.gpt([(0, LINUX, 40, 49), (1, LINUX, 60, 59)])


@case('a partition that ends far before its start', 'contradicts')
def _(disk):
    disk.protect()
    disk.gpt([(0, LINUX, 40, 49), (1, LINUX, 100, 59)])


@case('partitions of a GPT that overlap', 'contradicts')
def _(disk):
    disk.protect()
    disk.gpt([(0, LINUX, 40, 60), (1, LINUX, 50, 70)])


@case('a partition of a GPT that ends beyond the disk', 'contradicts')
def _(disk):
    disk.protect()
    disk.gpt([(0, LINUX, 40, 49), (1, LINUX, 60, disk.blocks)])


@case('a partition of a GPT that begins with the disk', 'contradicts')
def _(disk):
    disk.protect()
    disk.gpt([(0, LINUX, 0, 49)])


@case('a GPT for blocks of 512 bytes on a disk with 4096', None, (4096,))
def _(disk):
    disk.block, disk.blocks = 512, disk.size // 512
    disk.protect()
    two(disk)


@case('a GPT for blocks of 4096 bytes on a disk with 512', None, (512,))
def _(disk):
    disk.block, disk.blocks = 4096, disk.size // 4096
    disk.protect()
    two(disk)
