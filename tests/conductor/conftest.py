"""What a failed test with a conductor shows."""

import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the last lines of its server's console."""
    report = (yield).get_result()
    if report.when != 'call' or not report.failed or 'lab' not in item.fixturenames:
        return
    for server in item.funcargs['lab'].servers:
        tail = '\n'.join(server.console.text().splitlines()[-40:])
        report.sections.append((f'console of {server.name}', tail))
