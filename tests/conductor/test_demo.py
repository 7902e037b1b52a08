"""The demo's timeline and progress, without a server."""

import io

from lab import progress
from lab.display import Display
from lab.progress import Progress, Rate
from lab.timeline import BAR_WIDTH, Timeline


def test_phases_begin_where_the_one_before_them_ended():
    timeline = Timeline()
    timeline.reach('power on', 1000.0)
    timeline.reach('kernel', 1010.0)
    late = timeline.reach('firmware', 1004.0, 'seen late')
    assert [(phase.name, at, took) for phase, at, took in timeline.rows()] == [
        ('power on', 0.0, 0.0), ('firmware', 4.0, 4.0), ('kernel', 10.0, 6.0)]
    assert timeline.row(late) == '   4.0 s     4.0 s  firmware  seen late'
    assert timeline.seconds(1012.5) == (12.5, 2.5)


def test_picture_has_a_bar_where_each_phase_was():
    timeline = Timeline()
    assert timeline.picture() == []
    for name, when in (('power on', 0.0), ('long', 9.0), ('short', 9.001), ('end', 12.0)):
        timeline.reach(name, when)
    bars = {line.split()[4]: line[20 + len('power on') + 2:]
            for line in timeline.picture('=')[2:]}
    assert bars['long'] == '=' * (BAR_WIDTH * 9 // 12)
    assert bars['short'].strip() == '='
    assert bars['end'].endswith('=') and len(bars['end']) == BAR_WIDTH
    assert not timeline.picture('=')[1].endswith('=')


def test_rate_is_that_of_the_last_seconds():
    rate = Rate()
    assert rate.per_second() is None
    for second in range(20):
        rate.add(second, 1000 if second < 10 else 1000 + (second - 10) * 500)
    assert rate.per_second() == 500
    rate.add(21, 0)
    assert rate.per_second() is None, 'another image has begun'


def test_progress_is_found_on_a_console():
    text = ('INFO command: progress command=execute_deploy_step what="writing image to /dev/vda" '
            'done=1048576 total=4194304\nsomething else\n')
    assert progress.on_console(text) == Progress('writing image to /dev/vda', 2**20, 4 * 2**20)
    assert progress.on_console('writing image to /dev/sda: 50 %').fraction == 0.5
    assert progress.on_console('writing 3 of 12 MiB').fraction == 0.25
    assert progress.on_console('erasing done=1 total=2') is None


def test_words_say_what_is_known():
    assert progress.words(Progress('', 5 * 2**20, 10 * 2**20), 2**20) \
        == '5 of 10 MiB, 1 MiB/s, 5 s left'
    assert progress.words(Progress('', 5 * 2**20, None), None) == '5 MiB'
    assert progress.words(Progress('', 30.0, 100.0), 1) == '30 %'


class Terminal(io.StringIO):
    encoding = 'utf-8'

    def isatty(self):
        return True


def test_terminal_changes_one_line_in_place():
    terminal = Terminal()
    display = Display(terminal)
    display.live('writing', 0.5, '5 of 10 MiB')
    display.line('stays')
    shown = terminal.getvalue()
    assert 'writing  ' + '█' * 12 + '░' * 12 + '  50 %  5 of 10 MiB' in shown
    assert shown.endswith('\r\x1b[Kstays\n') and shown.count('\n') == 1


def test_words_are_whole_on_a_narrow_terminal(monkeypatch):
    monkeypatch.setenv('COLUMNS', '40')
    terminal = Terminal()
    Display(terminal).live('writing', 0.5, '5 of 10 MiB, 1 s left')
    shown = terminal.getvalue().removeprefix('\r\x1b[K')
    assert shown.endswith(' 50 %  5 of 10 MiB, 1 s left') and len(shown) < 40


def test_file_gets_a_line_for_each_tenth():
    file = io.StringIO()
    display = Display(file)
    for percent in range(0, 100, 2):
        display.live('writing', percent / 100, 'words')
    display.live('waiting')
    assert file.getvalue().count('\n') == 10
    assert '\x1b' not in file.getvalue() and 'waiting' not in file.getvalue()
