"""A rescue by a real conductor: how it comes about, and its user's logins."""

from urllib.parse import urlsplit

from conductor.expectations import wait_until
from lab.ssh import Ssh

PASSWORD = 'planted open sesame'


def rescue(node, image, timeout=240):
    """The conductor takes the server for one with this image and rescues it."""
    node.update(rescue_interface='agent', instance_info=image.instance_info())
    node.target('adopt')
    node.wait_for('active', 60)
    node.target('rescue', rescue_password=PASSWORD)
    node.wait_for('rescue', timeout)


def agent_address(node):
    """Where the agent was before the rescue. Of a node that boots from virtual media Ironic has forgotten it."""
    return urlsplit(node.show()['driver_internal_info']['agent_url']).hostname


def logged_in(lab, address):
    """The user of the rescue at this address, once the server answers there, who can become root."""
    ssh = Ssh(lab, address, 'rescue', password=PASSWORD)
    wait_until(lambda: ssh.run('true', ConnectTimeout=10).returncode == 0, 60, f'login at {address}')
    assert ssh.output('sudo id -u').strip() == '0'
    return ssh


def addresses(ssh):
    """The server's own with their prefixes, by interface: what each has that leads out."""
    found = {}
    for line in ssh.output('ip -o address show scope global').splitlines():
        _, interface, _, address = line.split()[:4]
        found.setdefault(interface, []).append(address)
    return found
