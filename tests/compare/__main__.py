"""`make compare`: both agents in the same servers, one after the other, side by side.

`python -m compare` (in `tests`) for all machines, `python -m compare NAME…` for some (then entries
of the list that were not met are no failure), `python -m compare document` writes
docs/differences.md, `python -m compare starts FOLDER [ROUNDS]` starts farrier's ramdisk and an earlier
one in turn. Ends with 1 when a bound is missed or a difference is not listed.
"""

import sys

from compare import agent, boot, differences, document, report, starts
from compare.machine import MACHINES
from lab import Lab, paths


def main(arguments):
    if arguments == ['document']:
        document.PATH.parent.mkdir(exist_ok=True)
        document.PATH.write_text(document.text())
        return 0
    if arguments[:1] == ['starts']:
        return starts.compare(arguments[1], int(arguments[2]) if arguments[2:] else starts.ROUNDS)
    known = {machine.name: machine for machine in MACHINES}
    if unknown := set(arguments) - known.keys():
        sys.exit(f'no machine {", ".join(unknown)}; there are {", ".join(known)}')
    machines = [known[name] for name in arguments] or list(MACHINES)

    agents = agent.farrier(), agent.reference()
    boots = _start_all(machines, agents)
    listed = differences.listed_of((paths.RAMDISK_FOLDER / 'suite').read_text().strip())
    verdict = differences.Verdict()
    for _, ours, theirs in boots:
        verdict.add(differences.compare(ours.stored, theirs.stored, listed=listed))
        verdict.add(differences.compare(ours.plugin_data, theirs.plugin_data, listed=listed))
    table = report.rows(*agents, boots)
    text = report.markdown(table, boots, verdict)
    (agent.COMPARE / 'report.md').write_text(text + '\n')
    print(report.findings(verdict))
    print(f'\n{text}\n')

    failures = [f'{row.name}: {row.ratio:.3f} of the reference\'s, bound {row.bound:.3f}'
                for row in table if row.is_missed]
    failures += [f'{finding.path} differs and is not listed' for finding in verdict.unlisted]
    if not arguments:
        failures += [f'{entry.pattern} is listed and no longer differs'
                     for entry in differences.stale(verdict, listed)]
    for failure in failures:
        print(f'compare: {failure}', file=sys.stderr)
    print(f'compare: {"failed" if failures else "passed"}')
    return bool(failures)


def _start_all(machines, agents):
    """Each agent in each machine; what was seen stays in build/compare/boots."""
    folder = agent.COMPARE / 'boots'
    folder.mkdir(parents=True, exist_ok=True)
    boots = []
    with Lab(paths.LAB / 'run-compare') as lab:
        for machine in machines:
            pair = []
            for which in agents:
                print(f'compare: {machine.name}: {which.name} …', flush=True)
                seen = boot.start(lab, machine, which)
                boot.save(seen, folder / f'{machine.name}-{which.name}.json')
                print(f'compare: {machine.name}: {which.name}: heartbeat after '
                      f'{seen.heartbeat:.1f} s, {seen.memory:.0f} MiB in use, inventory '
                      f'{seen.inventory:.3f} s', flush=True)
                pair.append(seen)
            boots.append((machine, *pair))
    return boots


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
