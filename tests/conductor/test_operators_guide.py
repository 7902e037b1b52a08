"""docs/operators, as an operator follows it who has an Ironic with ironic-python-agent."""

import json
import re
import shutil
import subprocess

import pytest

from conductor.expectations import wait_for_inventory, wait_for_node_with
from conductor.guide import Guide, blocks, follow
from lab import Disk, conductor, paths
from lab.web import HTTP_PORT

FOLDER = paths.ROOT / 'docs' / 'operators'
SWITCH = Guide('operators', 'switch.md')
NETWORK_BOOT = Guide('operators', 'network-boot.md')
DHCP = Guide('dhcp.md')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """What the reader begins with: a folder beside the checkout, with a certificate authority of the site's."""
    folder = tmp_path_factory.mktemp('operator')
    (folder / 'farrier' / 'build').mkdir(parents=True)
    (folder / 'farrier' / 'build' / 'ramdisk').symlink_to(paths.RAMDISK_FOLDER)
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                    '-subj', '/CN=site', '-keyout', '/dev/null', '-out', folder / 'ca.pem'],
                   check=True, capture_output=True)
    return folder


def test_node_is_switched_to_farrier_and_back(lab, folder):
    """With the guide's commands, and a configuration file behind the ramdisk; the node's first files are those of
    another ramdisk, which is never booted."""
    for name in ('ipa.kernel', 'ipa.initramfs'):
        (lab.run.boot / name).write_bytes(b'of the Python agent')
    here = {'/var/lib/ironic/boot': str(lab.run.boot)}
    with lab.enrolled('server1', boot='direct', disks=[Disk('virtio', 64)], node={'clean': False}) as node:
        node.update(**{f'driver_info/deploy_{what}': f'file://{lab.run.boot}/ipa.{end}'
                       for what, end in (('kernel', 'kernel'), ('ramdisk', 'initramfs'))})
        before = node.show()['driver_info']
        follow(folder, SWITCH.section('A configuration file'))
        follow(folder, SWITCH.section('The files'), here)
        shutil.copy(folder / 'farrier-site.initramfs', lab.run.boot)
        with lab.network.inside():
            follow(folder, SWITCH.section('One server'), {
                **here, 'http://ironic.example:6385': conductor.URL,
                '/farrier.initramfs': '/farrier-site.initramfs'})
            assert json.loads((folder / 'server1.before.json').read_text())['driver_info']['deploy_kernel'] \
                == before['deploy_kernel']
            stored = json.loads((folder / 'server1.json').read_text())
            assert stored['inventory']['interfaces'][0]['mac_address'] == node.server.mac
            assert stored['plugin_data']['pci_devices'], 'the configuration file was read'
            follow(folder, SWITCH.section('All servers'), before=exports())
            assert not {'deploy_kernel', 'deploy_ramdisk'} & node.show()['driver_info'].keys()
            follow(folder, SWITCH.section('Back'), here, before=exports())
        assert node.show()['driver_info'] == before


def exports():
    """What the client is told at the guide's beginning."""
    environment, = re.findall(r'^export .*\n', SWITCH.section('One server'), re.M)
    return environment.replace('http://ironic.example:6385', conductor.URL)


def test_files_for_bifrost_and_metal3_are_made(tmp_path):
    """Of files of a few bytes: what is in them is nothing to these commands."""
    folder = tmp_path
    ramdisk = folder / 'farrier' / 'build' / 'ramdisk'
    ramdisk.mkdir(parents=True)
    for name in ('vmlinuz', 'initrd.img'):
        (ramdisk / name).write_text(name)
    follow(folder, Guide('operators', 'bifrost.md').text, {'/opt/farrier': str(folder / 'opt')})
    sums = subprocess.run(['sha256sum', '--check', 'farrier.kernel.sha256', 'farrier.initramfs.sha256'],
                          cwd=folder / 'opt', capture_output=True, text=True)
    assert sums.returncode == 0, sums.stderr
    follow(folder, Guide('operators', 'metal3.md').text)
    names = subprocess.run(['tar', '-tzf', folder / 'farrier.tar.gz'], check=True, capture_output=True, text=True)
    assert names.stdout.split() == ['farrier.kernel', 'farrier.initramfs']


def test_pages_have_no_command_that_is_not_tried():
    sections = ['The files', 'One server', 'All servers', 'Back', 'A configuration file']
    assert sum(len(blocks(SWITCH.section(heading), 'sh')) for heading in sections) == SWITCH.text.count('```sh\n')


def test_settings_are_settings_of_ironic(tmp_path):
    """Every `ini` of the guide, and every `[group]option` in its text."""
    pages = [page.read_text() for page in sorted(FOLDER.glob('*.md'))]
    texts = [text for page in pages for text in blocks(page, 'ini')]
    named = [option for page in pages for option in re.findall(r'`(\[\w+\]\w+)', page)]
    assert len(texts) >= 5 and len(named) >= 10
    texts += [option.replace(']', ']\n') + ' =\n' for option in sorted(set(named))]
    config = tmp_path / 'ironic.conf'
    config.write_text('\n'.join(texts))
    checked = subprocess.run([paths.VENV / 'bin' / 'oslo-config-validator', '--input-file', config,
                              '--namespace', 'ironic'], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize('number, command, right, wrong', [
    (0, ['dhcpd', '-4', '-t', '-cf'], '192.0.2.250', '192.0.2.999'),
    (1, ['kea-dhcp4', '-t'], '192.0.2.250', '192.0.2.999'),
    (2, ['dnsmasq', '--test', '-C'], '192.0.2.250', '192.0.2.999'),
    (4, ['radvd', '--configtest', '-C'], 'AdvDefaultLifetime 600', 'AdvDefaultLifetime long'),
    (5, ['kea-dhcp6', '-t'], 'fd00:fa:1::1fff', 'fd00:fa:1::xfff'),
    (6, ['dnsmasq', '--test', '-C'], 'fd00:fa:1::1fff', 'fd00:fa:1::xfff')])
def test_dhcp_server_accepts_its_configuration(lab, tmp_path, number, command, right, wrong):
    """By its own check, which sees a fault, where the interface is there."""
    text = DHCP.blocks(r'\w*')[number]
    assert right in text
    config = tmp_path / 'server.conf'
    environment = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'KEA_LOCKFILE_DIR': str(tmp_path)}
    for content, accepted in ((text, True), (text.replace(right, wrong), False)):
        config.write_text(content)
        checked = subprocess.run(['ip', 'netns', 'exec', lab.run.namespace, *command, config],
                                 capture_output=True, text=True, env=environment, timeout=60)
        assert (checked.returncode == 0) == accepted, checked.stdout + checked.stderr


def test_web_server_accepts_its_configuration(lab, tmp_path):
    text, = NETWORK_BOOT.blocks('nginx')
    config = tmp_path / 'nginx.conf'
    config.write_text(f'pid {tmp_path}/nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{text}}}\n')
    checked = subprocess.run(['ip', 'netns', 'exec', lab.run.namespace, 'nginx', '-t', '-e', tmp_path / 'errors', '-c', config],
                             capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stderr


def test_console_says_what_the_guide_quotes():
    """Each message of the page about trouble is one of the agent's; `…` stands for what varies."""
    guide = Guide('operators', 'troubleshooting.md')
    messages = re.findall(r'^\| `([^`]+)`', guide.section('What `trouble` says'), re.M)
    messages += re.findall(r'^\| `([a-z][^`]+)`', guide.section('How far did it come?'), re.M)
    assert len(messages) >= 14
    sources = '\n'.join(path.read_text() for path in sorted((paths.ROOT / 'src').rglob('*.rs')))
    sources = re.sub(r'\s*\\\n\s*', ' ', sources)
    for message in messages:
        for part in filter(None, (part.strip() for part in message.split('…'))):
            assert part in sources, f'{part!r} of {message!r} is no message of the agent'


def test_the_release_that_is_named_is_the_one_that_was_run():
    locked, = re.findall(r'^ironic==(\S+)', (paths.ROOT / 'tests' / 'lab' / 'requirements.lock').read_text(), re.M)
    assert f'**Ironic {locked}**' in Guide('operators', 'README.md').text


@pytest.mark.full
def test_image_of_a_web_server_is_deployed(lab, image, folder):
    """With the guide's commands."""
    section = Guide('operators', 'image-sources.md').section('A web server')
    shutil.copy(lab.run.images / image.name, folder)
    with lab.enrolled('server1', boot='direct', disks=[Disk('virtio', 256)], node={'clean': False}) as node:
        node.provide()
        with lab.network.inside():
            follow(folder, section, {'debian-13.qcow2': image.name, '9f0c…': image.sha512,
                                     'image_disk_format=qcow2': 'image_disk_format=raw'}, before=exports())
        node.wait_for('active', 400)
        node.server.console.wait_for('FARRIER-TEST-OS booted', 120, node.server.console.mark_of_last_start())


@pytest.mark.full
def test_unknown_server_boots_the_script_of_the_guide(lab):
    """Over the network, by Ironic's own boot.ipxe; it becomes a node with its port."""
    section = NETWORK_BOOT.section('Servers that Ironic does not know')
    script, = blocks(section, 'ipxe')
    settings, = blocks(section, 'ini')
    name, = re.findall(r'^ipxe_fallback_script = (\S+)', settings, re.M)
    for here in (f'http://192.0.2.1:{HTTP_PORT}/farrier.kernel', conductor.URL):
        assert here in script
    shutil.copy(lab.kernel, lab.run.http / 'farrier.kernel')
    shutil.copy(lab.ramdisk, lab.run.http / 'farrier.initramfs')
    (lab.run.http / name).write_text(script)
    server = lab.server('stranger', boot='network', cpus=2, disks=[Disk('virtio', 64)])
    try:
        with lab.conductor.configured(settings):
            server.power_on('Pxe')
            node = wait_for_node_with(lab, server.mac, 120)
            assert wait_for_inventory(lab, node['uuid'], 30)['inventory']['boot']['pxe_interface'] == server.mac
            lab.api.delete(f'/v1/nodes/{node["uuid"]}')
    finally:
        lab.remove(server)
