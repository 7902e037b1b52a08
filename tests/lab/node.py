"""A server as Ironic knows it: enrolled, and led from one provision state to the next."""

import time

from lab.api import ApiError
from lab.architecture import X86_64
from lab.patience import patience

# States in which something failed and nothing more will happen by itself.
FAILED = ('deploy failed', 'clean failed', 'inspect failed', 'rescue failed', 'unrescue failed',
          'error', 'adopt failed', 'service failed')


class ProvisionError(Exception):
    """The node came to a failed state instead of the wanted one."""

    def __init__(self, state, last_error):
        super().__init__(f'{state}: {last_error}')
        self.state = state
        self.last_error = last_error or ''


class Node:
    """One enrolled server; `Lab.enrol` makes it."""

    def __init__(self, api, server, uuid):
        self.uuid = uuid
        self.server = server
        self._api = api
        self._path = f'/v1/nodes/{uuid}'

    @classmethod
    def enrol(cls, api, server, bmc_url, kernel, ramdisk, *, clean=True, fast_track=False,
              root_device=None, bootloader=None, iso=None, raid=False, bmc_user=False):
        """Creates node and ports.

        `clean` switches automated cleaning, `fast_track` keeps the agent up between actions,
        `root_device` are the root device hints (by default the first disk's serial number, since
        the lab's disks are below the 4 GiB that the default rule wants), `bootloader` an EFI system
        partition for the ISO of virtual media, other than the conductor's, `iso` an ISO that is booted as it is, with
        what the conductor has to tell on a stick beside it (`config_via_removable`), `raid` gives it the RAID interface
        whose steps the agent runs, `bmc_user` names a user for the BMC, which asks nobody who he is.
        """
        if root_device is None:
            root_device = {'serial': server.disks[0].disk.serial} if server.disks else {}
        driver_info = {
            'redfish_address': bmc_url,
            # Plain HTTP: without this each Redfish request loads the CA bundle (0.7 s).
            'redfish_verify_ca': False,
            'redfish_system_id': f'/redfish/v1/Systems/{server.uuid}',
            'deploy_kernel': f'file://{kernel}', 'deploy_ramdisk': f'file://{ramdisk}',
            'rescue_kernel': f'file://{kernel}', 'rescue_ramdisk': f'file://{ramdisk}'}
        if bmc_user:
            driver_info |= {'redfish_username': 'lab', 'redfish_password': 'lab'}
        if iso:
            driver_info = {name: value for name, value in driver_info.items() if name.startswith('redfish')}
            driver_info |= {'deploy_iso': f'file://{iso}', 'config_via_removable': True}
        if server.architecture is not X86_64:
            # The conductor's own names another console.
            driver_info['kernel_append_params'] = f'console={server.architecture.console},115200'
        if fast_track:
            driver_info['fast_track'] = True
        if bootloader:
            driver_info['bootloader'] = f'file://{bootloader}'
        body = api.post('/v1/nodes', {
            'name': server.name, 'driver': 'redfish', 'driver_info': driver_info,
            'boot_interface': 'redfish-virtual-media' if server.boot == 'vmedia' else 'ipxe',
            'properties': {'cpu_arch': server.architecture.name, 'root_device': root_device,
                           'capabilities': f'boot_mode:{server.firmware}'},
            'automated_clean': clean, **({'raid_interface': 'agent'} if raid else {})})
        node = cls(api, server, body['uuid'])
        for card in server.cards:
            api.post('/v1/ports', {'node_uuid': node.uuid, 'address': card['mac']})
        return node

    def show(self):
        """Everything that Ironic tells about the node."""
        return self._api.get(self._path)

    @property
    def state(self):
        return self.show()['provision_state']

    @property
    def last_error(self):
        return self.show()['last_error'] or ''

    def update(self, **fields):
        """Sets fields: `update(automated_clean=False)`, `update(**{'properties/a': 1})`."""
        self._api.patch(self._path, {f'/{name}': value for name, value in fields.items()})

    def set_raid(self, *logical_disks):
        """Sets the RAID configuration that a clean step is to create."""
        self._api.put(f'{self._path}/states/raid', {'logical_disks': list(logical_disks)})

    def power(self, target):
        """`power on`, `power off`, `rebooting` …, by the conductor; does not wait."""
        self._api.put(f'{self._path}/states/power', {'target': target})

    def target(self, target, **more):
        """Asks for a provision state change; does not wait."""
        self._api.put(f'{self._path}/states/provision', {'target': target, **more})

    def manage(self):
        self.target('manage')
        self.wait_for('manageable', 60)

    def inspect(self, timeout=240):
        """In-band inspection; returns the inventory that Ironic stored."""
        self.target('inspect')
        self.wait_for('manageable', timeout)
        return self._api.get(f'{self._path}/inventory')

    def provide(self, timeout=300):
        """Makes it available, with automated cleaning unless that is switched off."""
        self.target('provide')
        self.wait_for('available', timeout)

    def clean(self, *steps, timeout=300):
        """Manual cleaning; each step a name of the deploy interface or a step's dictionary."""
        self.start_cleaning(*steps)
        self.wait_for('manageable', timeout)

    def start_cleaning(self, *steps):
        self.target('clean', clean_steps=[
            {'interface': 'deploy', 'step': step} if isinstance(step, str) else step
            for step in steps])

    def deploy(self, image, config_drive=None, timeout=400, steps=()):
        """Deploys and waits until the node is active."""
        self.start_deploying(image, config_drive, steps)
        self.wait_for('active', timeout)

    def start_deploying(self, image, config_drive=None, steps=()):
        """`image` is an Image or an instance_info, `config_drive` and further deploy steps as the API
        takes them.
        """
        info = image if isinstance(image, dict) else image.instance_info()
        self.update(instance_info=info)
        more = {'deploy_steps': list(steps)} if steps else {}
        self._target_with('active', config_drive, **more)

    def rebuild(self, image, config_drive=None, timeout=400):
        """Deploys onto an active node and waits until it is active again."""
        self.update(instance_info=image if isinstance(image, dict) else image.instance_info())
        self._target_with('rebuild', config_drive)
        self.wait_for('active', timeout)

    def _target_with(self, target, config_drive, **more):
        if config_drive is not None:
            more['configdrive'] = config_drive
        self.target(target, **more)

    def fail_to_deploy(self, image, timeout=300):
        """Deploys and expects that it fails; returns Ironic's last_error."""
        self.start_deploying(image)
        return self.wait_for_failure(timeout)

    def undeploy(self, timeout=300):
        """Deletes the instance; with automated cleaning unless that is switched off."""
        self.target('deleted')
        self.wait_for('available', timeout)

    def wait_for(self, state, timeout):
        """Waits for a provision state; ends early when the node came to a failed one."""
        timeout = patience(timeout)
        deadline = time.monotonic() + timeout
        while True:
            node = self.show()
            now = node['provision_state']
            if now == state:
                # 'manageable' is also where a node starts from: only at rest is it the answer.
                if node['target_provision_state'] is None and not node['reservation']:
                    if state in ('manageable', 'enroll') and node['last_error']:
                        raise ProvisionError(now, node['last_error'])
                    return node
            elif now in FAILED or (now == 'enroll' and node['last_error']):
                raise ProvisionError(now, node['last_error'])
            if time.monotonic() > deadline:
                raise TimeoutError(f'{self.server.name}: {now} (last error: '
                                   f'{node["last_error"]}) after {timeout} s, not {state}')
            time.sleep(0.5)

    def wait_for_failure(self, timeout):
        """Waits until the current action has failed; returns Ironic's last_error."""
        timeout = patience(timeout)
        deadline = time.monotonic() + timeout
        while True:
            node = self.show()
            if node['last_error'] and (node['provision_state'] in FAILED
                                       or node['target_provision_state'] is None):
                return node['last_error']
            if time.monotonic() > deadline:
                raise TimeoutError(f'{self.server.name}: still {node["provision_state"]} '
                                   f'after {timeout} s, nothing has failed')
            time.sleep(0.5)

    def wait_for_step(self, step, timeout):
        """Waits until the conductor has handed the agent this clean or deploy step."""
        timeout = patience(timeout)
        deadline = time.monotonic() + timeout
        while True:
            node = self.show()
            now = {**node['clean_step'], **node['deploy_step']}
            waiting = node['provision_state'] in ('clean wait', 'wait call-back')
            if now.get('step') == step and waiting:
                return
            if node['last_error'] and node['provision_state'] in FAILED:
                raise ProvisionError(node['provision_state'], node['last_error'])
            if time.monotonic() > deadline:
                raise TimeoutError(f'{self.server.name}: step {now.get("step")}, not {step}, '
                                   f'after {timeout} s')
            time.sleep(0.2)

    def recover(self):
        """From a failed cleaning back to manageable (a failed cleaning also sets
        maintenance, in which heartbeats are taken and nothing is done)."""
        self.update(maintenance=False)
        self.target('manage')
        timeout = patience(60)
        deadline = time.monotonic() + timeout
        # The failure stays in last_error, so `wait_for` would report it again.
        while (node := self.show())['provision_state'] != 'manageable' or node['reservation']:
            if time.monotonic() > deadline:
                raise TimeoutError(f'{self.server.name}: {node["provision_state"]} after {timeout} s')
            time.sleep(0.5)

    def last_heartbeat(self):
        """When the conductor recorded the latest heartbeat (text of its clock), or None."""
        return self.show()['driver_internal_info'].get('agent_last_heartbeat')

    def remove(self):
        """Forgets the node, whatever state it is in."""
        self._api.put(f'{self._path}/maintenance', {'reason': 'the test is over'})
        try:
            self._api.delete(self._path)
        except ApiError as error:
            if error.status != 404:
                raise
