"""What the tests with a conductor expect in the same words."""


def config_drive(value):
    """A config drive whose meta data hold `value` where the test image looks for it."""
    return {'meta_data': {'meta': {'farrier_test': value}}}


def expect_deployed_system(server, value, since):
    """The deployed system comes up from the disk and prints what its config drive says."""
    server.console.wait_for('FARRIER-TEST-OS booted', 120, since)
    server.console.wait_for(rf'configdrive: {value}', 30, since)
    server.console.wait_for('login:', 30, since)
