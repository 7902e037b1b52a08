"""The conductor: an unmodified Ironic (API and conductor in one process, SQLite)."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
from datetime import datetime
from pathlib import Path

from lab import network, paths
from lab.process import Process
from lab.release import Release
from lab.web import HTTP_PORT

PORT = 6385
URL = f'http://{network.ADDRESS}:{PORT}'
URL6 = f'http://[{network.ADDRESS6}]:{PORT}'

# The agent beats every 0.3 to 0.6 of this; the default of 300 s would let a missed beat stall a
# test for minutes.
HEARTBEAT_TIMEOUT = 60

# What a server becomes that is found by its inspection data. At their end Ironic wants to switch it
# off, before any rule could have said where its BMC is: with a driver that needs to know, the node
# would be left with an error.
DISCOVERY_DRIVER = 'manual-management'

# What Ironic's Python does at its start: sitecustomize.py.
SITE = Path(__file__).parent / 'site'

# What of an inspection is looked at beside the default hooks, as far as a release has it.
HOOKS = ('boot-mode', 'cpus', 'cpu-capabilities', 'memory', 'root-device', 'pci-devices', 'physical-network',
         'local-link-connection', 'parse-lldp')

# Where the boot loader of Ironic's virtual media looks for its configuration.
GRUB_CONFIG = 'EFI/BOOT/grub.cfg'
GRUB_TEMPLATE = 'grub.cfg.template'


class Conductor:
    """Ironic with the security it has by default: agent tokens, TLS towards the agent."""

    def __init__(self, network_, run, *, outlive=False, release=None):
        self.release = release or Release.own()
        self._network = network_
        self._run = run
        self._outlive = outlive
        self._ironic = None

    def start(self):
        folder = self._run.conductor
        for name in ('images', 'master', 'iso-master', 'certificates', 'locks', 'bin'):
            (folder / name).mkdir(exist_ok=True)
        # Ironic calls mkisofs; xorriso does its work under that name.
        xorriso = folder / 'bin' / 'mkisofs'
        if not xorriso.exists():
            xorriso.symlink_to('/usr/bin/xorrisofs')
        (folder / GRUB_TEMPLATE).write_text(_grub_template(self.release))
        config = self._configure()
        shutil.copy(_empty_database(config, self.release), folder / 'ironic.sqlite')
        self._launch()

    def restart(self):
        """Stops Ironic and starts it again with the same database."""
        self.stop()
        self._launch()

    def stop(self):
        if self._ironic:
            self._ironic.stop(grace=3)

    def boot_template(self, template: Path):
        """Inside, Ironic writes its iPXE scripts after this template instead of its own."""
        return self.configured(f'[pxe]\nipxe_config_template = {template}\n')

    @contextlib.contextmanager
    def configured(self, more):
        """Inside, these lines follow Ironic's configuration: of an option that is there twice, the
        last counts."""
        self._configure(more)
        self.restart()
        try:
            yield
        finally:
            self._configure()
            self.restart()

    def log(self):
        return (self._run.logs / 'ironic.log').read_text(errors='replace')

    def heartbeats(self, node):
        """When (seconds since the epoch) the API accepted this node's heartbeats."""
        pattern = re.compile(rf'^(\S+ \S+) .* POST /v1/heartbeat/{node.uuid} - 202', re.M)
        return [datetime.strptime(found[1], '%Y-%m-%d %H:%M:%S.%f').timestamp()
                for found in pattern.finditer(self.log())]

    def agent_token(self, node):
        """The token that conductor and agent agreed on; the API shows it to nobody."""
        with contextlib.closing(sqlite3.connect(self._run.conductor / 'ironic.sqlite')) as database:
            row = database.execute('SELECT driver_internal_info FROM nodes WHERE uuid = ?',
                                   [node.uuid]).fetchone()
        return json.loads(row[0])['agent_secret_token']

    def stored_logs(self, node):
        """The archives of the agent's logs that the conductor stored, oldest first."""
        return sorted(self._run.agent_logs.glob(f'{node.uuid}_*.tar.gz'),
                      key=lambda path: path.stat().st_mtime)

    def answers(self):
        with self._network.inside(), socket.socket() as probe:
            return probe.connect_ex((network.ADDRESS, PORT)) == 0

    def _configure(self, more=''):
        """Writes the configuration, which counts from the next launch on."""
        config = self._run.conductor / 'ironic.conf'
        config.write_text(_ironic_conf(self._run, _esp_image(), self.release) + more)
        return config

    def _launch(self):
        folder = self._run.conductor
        self._ironic = Process.start(
            'ironic', [self.release.program('ironic'), '--config-file', folder / 'ironic.conf'],
            self._run.namespace, self._run.logs / 'ironic.log', outlive=self._outlive,
            env={'PATH': f'{folder}/bin:{os.environ["PATH"]}', 'PYTHONPATH': str(SITE)})
        self._ironic.wait_until(self.answers, 90, f'answer on port {PORT}')


@contextlib.contextmanager
def _made_once():
    """Held while a file is made that all labs of this build share."""
    with open(paths.LAB / 'shared.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@_made_once()
def _empty_database(config, release) -> Path:
    """A release's empty schema: made once, since the migrations take several seconds."""
    database = paths.LAB / f'empty-{release.version}.sqlite'
    if not database.exists():
        partial = database.with_suffix('.partial')
        partial.unlink(missing_ok=True)
        extra = config.with_name('schema.conf')
        extra.write_text(f'[database]\nconnection = sqlite:///{partial}\n')
        subprocess.run([release.program('ironic-dbsync'), '--config-file', config,
                        '--config-file', extra, 'create_schema'],
                       check=True, capture_output=True)
        partial.rename(database)
    return database


@_made_once()
def _esp_image() -> Path:
    """An EFI system partition with GRUB, from which Ironic builds bootable ISO images."""
    image = paths.LAB / 'esp.img'
    if image.exists():
        return image
    loader = paths.LAB / 'bootx64.efi'
    embedded = paths.LAB / 'grub-embedded.cfg'
    embedded.write_text(f'search --no-floppy --set=root --file /{GRUB_CONFIG}\n'
                        f'configfile /{GRUB_CONFIG}\n')
    subprocess.run(
        ['grub-mkimage', '-O', 'x86_64-efi', '-o', loader, '-p', '/EFI/BOOT', '-c', embedded,
         'iso9660', 'fat', 'part_gpt', 'part_msdos', 'normal', 'linux', 'search',
         'search_fs_file', 'configfile', 'echo', 'all_video', 'serial', 'terminal', 'test'],
        check=True)
    partial = image.with_suffix('.partial')
    with open(partial, 'wb') as file:
        file.truncate(4 * 1024 * 1024)
    for command in (['mkfs.vfat', partial], ['mmd', '-i', partial, '::EFI', '::EFI/BOOT'],
                    ['mcopy', '-i', partial, loader, '::EFI/BOOT/BOOTX64.EFI']):
        subprocess.run(command, check=True, capture_output=True)
    partial.rename(image)
    return image


def _grub_template(release):
    """Ironic's own, but nobody is there who would choose from its one entry within five seconds."""
    template = release.installed('common/grub_conf.template').read_text()
    return re.sub(r'^set timeout=\d+$', 'set timeout=0', template, flags=re.M)


def _ironic_conf(run, esp_image, release):
    folder = run.conductor
    inspect = 'agent' if release.inspects else 'no-inspect'
    hooks = ','.join(['$default_hooks', *(hook for hook in HOOKS if hook in release.hooks)])
    http = f'http://{network.ADDRESS}:{HTTP_PORT}'
    return f'''\
[DEFAULT]
auth_strategy = noauth
rpc_transport = none
host = farrier-lab
my_ip = {network.ADDRESS}
my_ipv6 = {network.ADDRESS6}
state_path = {folder}
tempdir = {run.tmp}
debug = true
default_log_levels = sushy=INFO,urllib3=INFO,oslo=INFO,stevedore=INFO,sqlalchemy=WARN,amqp=WARN
enabled_hardware_types = redfish,{DISCOVERY_DRIVER}
enabled_bios_interfaces = no-bios
enabled_boot_interfaces = ipxe,redfish-virtual-media
enabled_console_interfaces = no-console
enabled_deploy_interfaces = direct
enabled_firmware_interfaces = no-firmware
enabled_inspect_interfaces = {inspect}
enabled_management_interfaces = redfish,noop
enabled_network_interfaces = noop
enabled_power_interfaces = redfish,fake
enabled_raid_interfaces = no-raid,agent
enabled_rescue_interfaces = agent,no-rescue
enabled_storage_interfaces = noop
enabled_vendor_interfaces = no-vendor
default_boot_interface = ipxe
default_inspect_interface = {inspect}
esp_image = {esp_image}
grub_config_path = {GRUB_CONFIG}
grub_config_template = {folder}/{GRUB_TEMPLATE}
minimum_memory_warning_only = true

[database]
connection = sqlite:///{folder}/ironic.sqlite

[api]
host_ip = ::
port = {PORT}
api_workers = 1
ramdisk_heartbeat_timeout = {HEARTBEAT_TIMEOUT}

[conductor]
deploy_callback_timeout = 600
clean_callback_timeout = 600
inspect_wait_timeout = 600
rescue_callback_timeout = 600
service_callback_timeout = 600
check_provision_state_interval = 10
# A test that switches a server off behind the conductor's back does not want it back on.
sync_power_state_interval = -1
# As a site does that wants steps in automated cleaning which their makers left out.
clean_step_priority_override = deploy.script_polish:15
clean_step_priority_override = deploy.example_polish:14
file_url_allowed_paths = {run.boot}
graceful_shutdown_timeout = 1
enable_mdns = true
workers_pool_size = 60

[inspector]
# The default hooks, and those that read more of what the agent says.
hooks = {hooks}
physical_network_cidr_map = {network.SUBNET}:lab
pci_device_alias = {{"vendor_id": "1af4", "product_id": "1000", "name": "virtio_net"}}

[auto_discovery]
enabled = true
driver = {DISCOVERY_DRIVER}

[deploy]
http_root = {run.http}
http_url = {http}
default_boot_mode = bios
# The full overwrite is asked for by the test that is about it.
erase_devices_priority = 0
iso_master_path = {folder}/iso-master
# With fast track a test can go on with the same booted guest after a failure.
power_off_after_deploy_failure = false

[agent]
deploy_logs_collect = always
deploy_logs_local_path = {run.agent_logs}
image_download_source = http
certificates_path = {folder}/certificates
command_wait_interval = 2
# For partition images under BIOS; off by default.
enable_bios_bootloader_install = true
post_deploy_get_power_state_retries = 60
post_deploy_get_power_state_retry_interval = 1

[dhcp]
dhcp_provider = none

[pxe]
tftp_server = {network.ADDRESS}
tftp_root = {run.tftp}
tftp_master_path = {folder}/tftp-master
images_path = {folder}/images
instance_master_path = {folder}/master
kernel_append_params = nofb vga=normal console=ttyS0,115200

[redfish]
use_swift = false
kernel_append_params = nofb vga=normal console=ttyS0,115200

[inventory]
data_backend = database

[service_catalog]
auth_type = none
endpoint_override = {URL}

[glance]
auth_type = none

[neutron]
auth_type = none

[swift]
auth_type = none

[cinder]
auth_type = none

[nova]
send_power_notifications = false

[oslo_concurrency]
lock_path = {folder}/locks
'''
