"""The table of results."""

from measure import MIB, Refused

HEAD = ('image', 'hash', 'target', 'farrier', 'IPA', 'ratio', 'of hash', 'CPU', "IPA's", 'of floor',
        'peak', "IPA's", '')
UNIT = ('', '', '', 'MB/s', 'MB/s', '', '', 's/GiB', 's/GiB', '', 'MiB', 'MiB', '')


class Table:
    """Rows as they come, and the floors that they are compared with."""

    def __init__(self, mib):
        self.mib = mib
        self.rows, self.floors, self.remarks = [], [], []
        self.hash_rate, self.receive_cpu = {}, 0

    def rate(self, run):
        return self.mib * MIB / 1e6 / run.seconds

    def cpu(self, run):
        return run.cpu_seconds * 1024 / self.mib

    def floor_hash(self, algorithm, mib_per_second):
        self.hash_rate[algorithm] = mib_per_second * MIB / 1e6
        self.floors.append((f'{algorithm} alone (OpenSSL)', f'{self.hash_rate[algorithm]:.0f}',
                            f'{1024 / mib_per_second:.2f}'))

    def floor_run(self, name, run):
        if name == 'receive alone':
            self.receive_cpu = self.cpu(run)
        self.floors.append((name, f'{self.rate(run):.0f}', f'{self.cpu(run):.2f}'))

    def pair(self, image, algorithm, target, ours, theirs):
        """Of hash: rate, of that of the hash alone. Of floor: CPU, of receiving and hashing. Both for
        files that are as large as their disk."""
        cells = [image, algorithm, target]
        good = [not isinstance(run, Refused) for run in (ours, theirs)]
        cells += [f'{self.rate(run):.0f}' if fine else 'refused'
                  for run, fine in zip((ours, theirs), good)]
        cells.append(f'{theirs.seconds / ours.seconds:.2f}' if all(good) else '-')
        hash_rate = self.hash_rate[algorithm]
        is_raw = good[0] and image == 'raw'
        cells.append(f'{self.rate(ours) / hash_rate:.2f}' if is_raw else '-')
        cells += [f'{self.cpu(run):.2f}' if fine else '-' for run, fine in zip((ours, theirs), good)]
        floor = self.receive_cpu + (1 << 30) / 1e6 / hash_rate
        cells.append(f'{self.cpu(ours) / floor:.2f}' if is_raw else '-')
        cells += [f'{run.peak_mib:.0f}' if fine else '-'
                  for run, fine in zip((ours, theirs), good)]
        cells.append(ours.note if good[0] else str(ours)[:60])
        self.rows.append(tuple(cells))

    def remark(self, text):
        self.remarks.append(text)

    def __str__(self):
        lines = columns([('alone', 'MB/s', 'CPU s/GiB'), *self.floors])
        lines += ['', *columns([HEAD, UNIT, *self.rows]), *self.remarks]
        return '\n'.join(lines)


def columns(rows):
    """Words to the left, figures to the right."""
    figures = range(1, 3) if len(rows[0]) == 3 else range(3, len(rows[0]) - 1)
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ['  '.join(cell.rjust(width) if number in figures else cell.ljust(width)
                      for number, (cell, width) in enumerate(zip(row, widths))).rstrip()
            for row in rows]
