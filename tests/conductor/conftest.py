"""In which order the tests with a conductor run, and what a failed one shows."""

import pytest

# Three labs work through the files; what takes long must not begin when the others have ended.
LONGEST_FIRST = ('test_raid', 'test_bios_partition_images', 'test_partition_images', 'test_bad_input', 'test_erase',
                 'test_life', 'test_uefi', 'test_plugins', 'test_dhcp', 'test_ipv6', 'test_networks',
                 'test_erase_disturbed', 'test_deploy', 'test_secure_boot', 'test_flash_card', 'test_guide',
                 'test_operators_guide', 'test_other_releases', 'test_openapi',
                 'test_power_cut', 'test_streaming')


def pytest_collection_modifyitems(items):
    """Files in that order, all others after them; within a file as they stand."""
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the last lines of its server's console."""
    report = (yield).get_result()
    if report.when != 'call' or not report.failed or 'lab' not in item.fixturenames:
        return
    for server in item.funcargs['lab'].servers:
        tail = '\n'.join(server.console.text().splitlines()[-40:])
        report.sections.append((f'console of {server.name}', tail))
