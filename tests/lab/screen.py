"""What stands on a server's screen: QEMU's screendump, read by the glyphs of the VGA font.

The kernel's font of 8 by 16 points has the glyphs of the VGA BIOS, so that text mode and framebuffer are read alike.
"""

import re
import shutil
import struct
import tempfile
import zlib
from collections import Counter
from pathlib import Path

HEIGHT = 16
# The letter A, by which the font is found in the VGA BIOS.
_A = bytes.fromhex('000010386cc6c6fec6c6c6c600000000')
# A screen that a kernel's console can be on; a VGA card of QEMU's has none with `-nodefaults`.
ARGUMENTS = ('-device', 'VGA')
PARAMETERS = 'console=tty0 console=ttyS0,115200'


class Screen:
    """A screendump. Colours are (red, green, blue)."""

    def __init__(self, width, height, pixels):
        self.width, self.height = width, height
        self._pixels = pixels
        # In the modes of 40 columns each point is as wide as two.
        self._step = 2 if _is_doubled(pixels) else 1
        # Text mode has cells of 9 points, of which the last is empty.
        self.cell = 9 if width == 720 else 8 * self._step
        self.columns = width // self.cell

    @classmethod
    def of(cls, server):
        """The screen of a running server, now."""
        with tempfile.NamedTemporaryFile(suffix='.ppm') as file:
            with server.qmp() as qmp:
                qmp.execute('screendump', filename=file.name)
            return cls.read(Path(file.name).read_bytes())

    @classmethod
    def read(cls, ppm):
        """A picture as QEMU writes it: P6, 255 shades."""
        header = re.match(rb'P6\s+(\d+)\s+(\d+)\s+255\s', ppm)
        if not header:
            raise ValueError(f'no screendump: {ppm[:20]}')
        return cls(int(header[1]), int(header[2]), ppm[header.end():])

    def lines(self):
        """The text, a line for each row of cells, without blanks at its end; ? for what is no letter. A cell of one colour
        is a blank."""
        known = glyphs()
        return [''.join(self._letter(row, column, known) for column in range(self.columns)).rstrip()
                for row in range(self.height // HEIGHT)]

    def text(self):
        return '\n'.join(self.lines()).rstrip()

    def colours(self):
        """The colours on it, and how many points have each."""
        return Counter(zip(self._pixels[0::3], self._pixels[1::3], self._pixels[2::3], strict=True))

    def png(self):
        """As a small PNG: text has few colours."""
        colours = [colour for colour, _ in self.colours().most_common()]
        if len(colours) > 256:
            raise ValueError(f'{len(colours)} colours are no text')
        number = {colour: index for index, colour in enumerate(colours)}
        points = bytes(number[colour] for colour in zip(
            self._pixels[0::3], self._pixels[1::3], self._pixels[2::3], strict=True))
        bits = 4 if len(colours) <= 16 else 8
        rows = [points[start:start + self.width] for start in range(0, len(points), self.width)]
        if bits == 4:
            rows = [bytes(row[at] << 4 | (row[at + 1] if at + 1 < len(row) else 0)
                          for at in range(0, len(row), 2)) for row in rows]
        data = zlib.compress(b''.join(b'\0' + row for row in rows), 9)
        header = struct.pack('>IIBBBBB', self.width, self.height, bits, 3, 0, 0, 0)
        palette = b''.join(bytes(colour) for colour in colours)
        return b'\x89PNG\r\n\x1a\n' + b''.join(
            _chunk(*chunk) for chunk in [(b'IHDR', header), (b'PLTE', palette), (b'IDAT', data), (b'IEND', b'')])

    def _letter(self, row, column, glyphs):
        points = []
        for y in range(row * HEIGHT, (row + 1) * HEIGHT):
            start = 3 * (y * self.width + column * self.cell)
            line = self._pixels[start:start + 24 * self._step]
            points.append([line[at:at + 3] for at in range(0, len(line), 3 * self._step)])
        colours = {point for line in points for point in line}
        if len(colours) == 1:
            return ' '
        for ink in colours:
            bits = bytes(sum((point == ink) << (7 - x) for x, point in enumerate(line)) for line in points)
            if bits in glyphs:
                return glyphs[bits]
        return '?'


def _is_doubled(pixels):
    """Whether each point is there twice, side by side; of a screen with nothing on it, it does not matter."""
    return all(pixels[colour::6] == pixels[colour + 3::6] for colour in range(3))


def _chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def glyphs():
    """Bits of a glyph to its letter: ASCII, and what bars and frames are drawn with (code page 437)."""
    rom = _vga_bios().read_bytes()
    start = rom.index(_A) - ord('A') * HEIGHT
    codes = [*range(0x21, 0x7f), *(code for code in range(0xb0, 0xe0) if code != 0xdb)]
    return {rom[start + code * HEIGHT:start + (code + 1) * HEIGHT]: bytes([code]).decode('cp437') for code in codes}


def _vga_bios():
    qemu = Path(shutil.which('qemu-system-x86_64') or '/usr/bin/qemu-system-x86_64')
    for folder in (qemu.parent.parent / 'usr/share/seabios', Path('/usr/share/seabios')):
        if (folder / 'vgabios-stdvga.bin').exists():
            return folder / 'vgabios-stdvga.bin'
    raise FileNotFoundError('vgabios-stdvga.bin (Debian: seabios)')
