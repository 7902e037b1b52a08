#!/usr/bin/python3
"""Makes the seeds and the dictionary of each fuzz target: corpus.py FOLDER.

Text is written here; disks, file systems and images are made by the tools that make them elsewhere.
"""

import base64
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

from images import image_seeds

HERE = pathlib.Path(__file__).resolve().parent
TABLES = HERE.parent / 'tests/fixtures/partition_tables/cases.json'
DIGEST = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
UUID = '1be26c0b-03f2-4d2e-ae87-c02d7f33c123'
STEP = {'interface': 'deploy', 'step': 'write_image', 'args': {}}
IMAGE = {'id': 'noble.qcow2', 'urls': ['http://192.0.2.1/noble.qcow2'], 'disk_format': 'raw',
         'checksum': DIGEST, 'os_hash_algo': 'sha256', 'os_hash_value': DIGEST,
         'stream_raw_images': True, 'node_uuid': UUID, 'proxies': {'http': 'proxy:3128'},
         'no_proxy': '.example,10.0.0.5', 'configdrive': 'H4sI', 'image_type': 'partition',
         'image_server_auth_strategy': 'http_basic', 'image_server_user': 'u',
         'image_server_password': 'p', 'image_request_authorization': 'QmVhcmVyIHg='}
LOOKUP = {'node': {'uuid': UUID, 'properties': {'root_device': {'size': '>= 10'}}},
          'config': {'heartbeat_timeout': 300, 'agent_token': 'x' * 43,
                     'agent_token_required': True, 'agent_md5_checksum_enable': False,
                     'disable_deep_image_inspection': False, 'permitted_image_formats': ['raw'],
                     'metrics': {}, 'metrics_statsd': {}}}
HINTS = ({'size': '>= 100', 'rotational': 'false'}, {'wwn': 's== 0x5000c500aabbccdd'},
         {'model': '<or> ACME <or> foo', 'vendor': '<in> ac'}, {'serial': '<all-in> AC 00'},
         {'name': '/dev/sda', 'hctl': 's!= 1:0:0:0', 'by_path': 's== /dev/disk/by-path/x'},
         {'size': '<range-in> [ 10 447.5 )', 'tran': 's<= sata'}, {'size': '<or> 10 <or> 447'},
         {'wwn_with_extension': 's> 0x', 'wwn_vendor_extension': 's!= 0x1', 'rotational': 0})
COMMANDS = ({'name': 'standby.sync', 'params': {}},
            {'name': 'deploy.execute_deploy_step',
             'params': {'step': STEP, 'node': {'uuid': UUID}, 'ports': [{'address': '52:54'}],
                        'deploy_version': {'generic_hardware_manager': '1.2'}}})
NETWORK = {'links': [{'id': 'a', 'type': 'phy', 'ethernet_mac_address': '52:54:00:12:34:01', 'mtu': 9000},
                     {'id': 'b', 'type': 'bond', 'bond_links': ['a'], 'bond_mode': '802.3ad', 'bond_miimon': 100,
                      'bond_xmit_hash_policy': 'layer3+4', 'bond_lacp_rate': 'fast', 'bond_primary': 'a'},
                     {'id': 'v', 'type': 'vlan', 'vlan_link': 'b', 'vlan_id': 5, 'name': 'v',
                      'vlan_mac_address': '52:54:00:12:34:01'}],
           'networks': [{'id': 'n', 'link': 'v', 'type': 'ipv4', 'ip_address': '192.0.2.5', 'netmask': '255.255.255.0',
                         'dns_nameservers': ['192.0.2.53'], 'dns_search': ['lab.test'],
                         'routes': [{'network': '0.0.0.0', 'netmask': '0.0.0.0', 'gateway': '192.0.2.1'}]},
                        {'id': 'm', 'link': 'v', 'type': 'ipv6', 'ip_address': 'fd00::5/64', 'gateway': 'fe80::1%v'},
                        {'id': 'o', 'link': 'a', 'type': 'ipv6_dhcpv6-stateless'}],
           'services': [{'type': 'dns', 'address': '8.8.8.8'}]}
JOURNAL = [{'journal': {'version': 1, 'boot': 'b'}},
           {'started': {'id': UUID, 'name': 'standby.sync', 'at': 1.5}},
           {'ended': {'id': UUID, 'status': 'SUCCEEDED', 'error': None, 'result': {}, 'at': 2.5}},
           {'started': {'id': UUID, 'name': 'clean', 'at': 3}}, {'refused': {'id': UUID}}]

TEXT = {
    # Which algorithm is asked for and the path of the image, then the file.
    'checksum_file': (
        [f'0/image\n{DIGEST}\n', f'2/image\n{DIGEST}  image\n{DIGEST} *other\n',
         f'0/image\nSHA256 (image) = {DIGEST}\n', f'0/image\n# {DIGEST}\nimage: {DIGEST}\n',
         f'5/a/image\n{DIGEST[:32]}  b/image\n{DIGEST}  ./a/image\n{DIGEST * 2}  a/image\n',
         f'0/a b\n\\{DIGEST}  a\\nb\n{DIGEST} 43 a b\n', f'0/image\nSHA2-256(stdin)= {DIGEST}\n',
         f'0/image\nSHA256  {DIGEST.upper()}  C:\\image\r\n', f'1/image\nsha256:{DIGEST}  image\0',
         f'b/image\n\ufeffBLAKE2b (image) = {DIGEST * 2}\nSHA512/256 (image) = {DIGEST}\n'],
        ['SHA256 (', ') = ', ' *', '  ', DIGEST, 'image', '\n', '\r\n', '#', './', '\\', 'SHA2-256(', ')= ',
         'stdin', '  -', 'sha256:', '\ufeff', '\0', DIGEST[:40], DIGEST * 2]),
    'config_file': (
        ['[DEFAULT]\nipa-api-url = http://192.0.2.1\ndebug: true\n', '# c\n; c\n[a]\nb = "c"\n d\n',
         "[metrics]\nbackend='noop'\nlist = a,\n  b,\n  c\n"],
        ['[DEFAULT]', ']', ' = ', ': ', '\n  ', '#', ';', '"', "'", '$', '\\']),
    'console_fact': (['FACT=doing serving', 'FACT=progress 25 writing image to /dev/sda, 15 s left', 'FACT=node '],
                     ['FACT=', 'trouble', 'advice', ' ', '-', '\x1b[2J', '\u202e', '\u2028']),
    'content_range': (['bytes 0-0/1', 'bytes 100-199/200', 'bytes 5-6/*', 'bytes */200'],
                      ['bytes ', '-', '/', '*', '18446744073709551615', '+1']),
    'cipher_list': (['ECDHE+AESGCM:!aNULL', 'DEFAULT:-AES128:@SECLEVEL=3', 'SUITEB128', 'AES:+aRSA,@STRENGTH'],
                    ['ALL', 'DEFAULT', 'AES128', 'CHACHA20', 'aRSA', '@STRENGTH', '@SECLEVEL=', ':', '+', '-', '!']),
    'kernel_parameters': (
        ['ipa-api-url=http://192.0.2.1 ipa-debug=1 boot_method=vmedia BOOTIF=01-52-54', 'a="b c" d'],
        ['ipa-', 'ipa-api-url=', 'boot_method=vmedia', '"', '=', ' ']),
    'network_data': (
        [json.dumps(NETWORK)],
        [f'"{key}": ' for part in ('links', 'networks', 'services') for item in NETWORK[part] for key in item]
        + ['"ipv4_dhcp"', '"ipv6_slaac"', '"::"', 'null', '"active-backup"']),
    'network_parameters': (
        ['ip=192.0.2.5::192.0.2.1:255.255.255.0:host:bond0:none:192.0.2.53 bond=bond0:eth0,eth1:mode=4,miimon=100:9000',
         'ip=[2001:db8::5]:[fd00::1]:[fe80::1]:64::eth0.5:off:9000:52:54:00:aa:bb:cc vlan=eth0.5:eth0 BOOTIF=01-52-54',
         'ip=dhcp,auto6 ifname=net0:52:54:00:12:34:01 rd.route=10.0.0.0/8:192.0.2.2:net0 bootdev=net0',
         'ip=192.0.2.5 netmask=24 gateway=192.0.2.1 ksdevice=52-54-00-12-34-01 mtu=1400 team=t bridge=br0:eth0'],
        ['ip=', 'bond=', 'vlan=', 'ifname=', 'rd.route=', 'nameserver=', 'bootdev=', ':', '::', '[', ']', ',', 'none',
         'dhcp', 'either6', 'eth0', 'vlan5', 'enx525400123401', '"', 'mode=1', 'arp_ip_target=192.0.2.1;192.0.2.2']),
    'support_key': (
        ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM3Cy9cpYSC6Renlj6sp7cL6+5jZDFR0RHa4uhdf77By me', 'quiet sshkey="ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBBuNweQY7EjXTY2WDKAcGuNtm36iz8Q5i2zXK7IIw3Sq4GBWHO80GgMDmmFHLAXimPvUnMtvKkOfBy0RWtQggXo=" nofb',
         'sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDo=', 'command="reboot" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM3Cy9cpYSC6Renlj6sp7cL6+5jZDFR0RHa4uhdf77By'],
        ['sshkey="', 'ssh-rsa ', 'ecdsa-sha2-nistp384 ', 'AAAA', '==', '"', 'no-pty,', '@openssh.com']),
    'kernel_log': (
        ['6,339,5140900,-;NET: Registered\n SUBSYSTEM=acpi\n DEVICE=+acpi:PNP0A03\n',
         '30,340,5690716,c,caller=T1;udevd\\x20[80]\n'], [',-;', '\n ', ',', ';', '\\x0a']),
    'secrets': (
        ['agent_token=abc password: "x y" http://u:p@h/a?temp_url_sig=1&temp_url_expires=2 Bearer x',
         '{"agent_token": "abc", "configdrive": "\0", "os_hash_value": "z"}'],
        ['agent_token', 'password', 'temp_url_sig=', '://', '@', '"', ': ', '=', 'Bearer ', '***', '\0']),
    'root_device_hints': (
        [json.dumps(hint) for hint in HINTS],
        ['<in> ', '<or> ', '<all-in> ', '<range-in> [ ', ' )', 's== ', 's!= ', 's>= ', 's<= ', 's> ',
         's< ', '>= ', '!= ', '<= ', '== ', '= ', '> ', '< ', '%20', '"size": ', '"wwn": ',
         '"rotational": ', '"name": ', '"by_path": ', '"hctl": ', '"tran": ', '"serial": ',
         '"model": ', '"vendor": ', '"wwn_with_extension": ', 'true', 'null', '1e400', '-1']),
    'raid_config': (
        [json.dumps({'logical_disks': [{'size_gb': 100, 'raid_level': '1', 'controller': 'software', **rest},
                                       {'size_gb': 'MAX', 'raid_level': '5', 'controller': 'software'}]})
         for rest in ({}, {'volume_name': 'root', 'is_root_volume': True}, {'physical_disks': HINTS[:2]})],
        ['"size_gb": ', '"MAX"', '"raid_level": ', '"1+0"', '"6"', '"controller": "software"', '"volume_name": ',
         '"is_root_volume": true', '"physical_disks": [', '18446744073709551615']),
    'plugin_message': (
        [json.dumps({'jsonrpc': '2.0', 'id': 1, **rest}) for rest in (
            {'method': 'progress', 'params': {'call': 7, 'what': 'a', 'done': 1, 'total': None}},
            {'error': {'code': -32000, 'message': 'm', 'data': {'type': 'CleaningError'}}},
            {'result': {'name': '/dev/sda', 'size': 1, 'all_serials': ['S'], 'extra': {}}},
            {'result': {'protocol': 1, 'class_name': 'A', 'name': 'a', 'version': '1',
                        'methods': ['initialize'], 'capabilities': {'concurrent_calls': 2}}})],
        ['"jsonrpc": "2.0"', '"id": ', '"method": ', '"params": {', '"result": ', '"error": ']),
    'lookup_answer': ([json.dumps(LOOKUP), json.dumps({**LOOKUP, 'config': {}})],
                      [f'"{key}": ' for key in (*LOOKUP, *LOOKUP['config'], 'uuid')]),
    'command_body': ([json.dumps(command) for command in COMMANDS],
                     ['"name": ', '"params": ', '"step": ', '"node": ', '"ports": ', '"uuid": ']),
    'image_boot_files': (
        ['UUID=5 / ext4 defaults 0 1\nLABEL=UEFI /boot/efi vfat umask=0077 0 1\n', 'NAME="Debian"\nID=debian\n',
         f'search.fs_uuid {UUID} root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n',
         'GRUB_CMDLINE_LINUX="console=ttyS0 root=/dev/sda1"\n', '\0/EFI/debian\0', 'shimx64.efi,debian,,x\n',
         'title a\nlinux /vmlinuz\ninitrd /initrd\noptions root=LABEL=x\n'],
        ['MZ', 'PE\0\0', '\x64\x86', '/EFI/', 'ID=', 'UUID=', '/boot/efi', 'search', 'configfile', UUID]),
    'grub_files': (
        ['ext2: fshelp\nfshelp:\nbiosdisk:\npart_gpt: ext2\n', 'a: b\nb: a\next2: a b c\n',
         # The header of an ELF executable for i386, without sections and with a table of three.
         '\x7fELF\1\1\1' + '\0' * 9 + '\2\0\3\0' + '\0' * 32,
         '\x7fELF\1\1\1' + '\0' * 9 + '\2\0\3\0' + '\0' * 12 + '\x34\0\0\0' + '\0' * 10 + '\x28\0\3\0' + '\0' * 122],
        ['ext2: ', 'fshelp', '\n', '\x7fELF', '\x28\0', '\0\x90\0\0', '\0\x80\6\0']),
    'inject_files': ([json.dumps([{'uuid': 'u'}, {'path': '/etc/a', 'content': 'http://192.0.2.1/{node[uuid]}',
                                                  'mode': 420, 'owner': 0}])],
                     ['"path": ', '"content": ', '"partition": ', '"deleted": ', '"mode": ', '{ports[0][uuid]}']),
    'image_info': ([json.dumps(IMAGE), json.dumps({**IMAGE, 'checksum': 'http://192.0.2.1/SUMS',
                                                   'os_hash_algo': None, 'os_hash_value': None})],
                   [f'"{key}": ' for key in IMAGE] + ['"sha512"', '"gpt"', '"iso"', '"unknown"']),
    'journal': (['\n'.join(map(json.dumps, JOURNAL[:length])) + '\n' for length in (1, 3, 5)],
                ['{"journal": ', '{"started": ', '{"ended": ', '{"refused": ', '"id": ', '"SUCCEEDED"',
                 '"FAILED"', '"RUNNING"', UUID]),
}


def certificates():
    """Of servers, as they send them, and of trust anchors, as files hold them."""
    peers = json.loads((HERE.parent / 'tests/fixtures/tls_peers/cases.json').read_text())
    for case in peers['cases']:
        for sent in case['chain']:
            yield 'certificate', base64.b64decode(sent)
        for part in case['cafile']:
            if isinstance(part, list):
                yield 'certificate', base64.b64decode(part[1])


def structure(kind, handle, area, *strings):
    """A structure of the firmware's table."""
    head = bytes([kind, 4 + len(area)]) + handle.to_bytes(2, 'little')
    return head + area + b''.join(text + b'\0' for text in strings or (b'',)) + b'\0'


def binary():
    """Seeds of formats that are simpler to write than to have made."""
    path = '\\EFI\\debian\\shimx64.efi\0'.encode('utf-16-le')
    device = bytes([4, 1, 42, 0]) + bytes(38) + bytes([4, 4]) + (len(path) + 4).to_bytes(2, 'little')
    yield 'boot_entry', (b'\1\0\0\0' + (len(device) + len(path) + 4).to_bytes(2, 'little')
                         + 'Debian\0'.encode('utf-16-le') + device + path + b'\x7f\xff\4\0')
    table = 'shimx64.efi,Fedora,\\EFI\\Linux\\a.efi ,UKI\r\nshimx64.efi,Gr\xf6\xdfe\n'
    yield 'loader_table', b'\xff\xfe' + table.encode('utf-16-le')
    yield 'loader_table', b'\xfe\xff' + table.encode('utf-16-be')
    yield 'loader_table', table.encode()
    name = b'\6my_img\4test\0'
    alias = b'\xc0\x0c\0\5\0\1\0\0\0\x3c\0\7\4real\xc0\x13'
    yield 'name_answer', (b'\1\2\x81\x80\0\1\0\2\0\0\0\0' + name + b'\0\1\0\1' + alias
                          + b'\4real\xc0\x13\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0\1')
    yield 'name_answer', b"nameserver fe80::1%lo\nsearch (none) lab.test\noptions ndots:2\n"
    yield 'ntp_answer', b'\x24\1\0\0' + bytes(20) + b'\1' * 8 + b'\2' * 8 + b'\xeb\1\1\1\0\0\0\1'
    card = b'\x52\x54\0\1\2\3'
    yield 'port_answer', (card + card + b'\x08\0\x45\0\1\x48\0\0\0\0\x40\x11\0\0' + b'\xc0\0\2\1' + b'\xff' * 4
                          + b'\0\x43\0\x44\1\x34\0\0\2\1\6\0abcd' + bytes(8) + b'\xc0\0\2\x0a' + bytes(8)
                          + card + bytes(202) + b'\x63\x82\x53\x63\x36\4\xc0\0\2\1\x35\1\5\xff')
    yield 'port_answer', (card + card + b'\x08\6\0\1\x08\0\6\4\0\2' + card + b'\xc0\0\2\1' + card + b'\xc0\0\2\x0a')
    router = b'\xfe\x80' + bytes(13) + b'\1'
    prefix = b'\3\4\x40\xc0\0\0\1\0\0\0\1\0\0\0\0\0' + b'\xfd\0' + bytes(14)
    yield 'port_answer', (card + card + b'\x86\xdd\x60\0\0\0\0\x38\x3a\xff' + router * 2
                          + b'\x86\0\0\0\x40\0\7\x08' + bytes(8) + b'\5\1\0\0\0\0\5\xdc' + prefix)
    tlvs = ((1, b'\4\0\x1b!\xaa\xbb\xcc'), (2, b'\5Ethernet1/7'), (3, b'\0x'), (4, b'rack 4'),
            (5, b'leaf-12'), (6, b'EOS'), (8, b'\5\1\xc0\0\2\xc8\2\0\0\0\1\0'), (127, b'\0\x80\xc2\1\0d'),
            (127, b'\0\x80\xc2\3\0d\6tenant'), (127, b'\0\x80\xc2\7\3\0\0\0\1'),
            (127, b'\0\x12\x0f\4\x24\x14'), (0, b''))
    yield 'lldp', b'\1\x80\xc2\0\0\x0e\x52\x54\0\0\0\1\x88\xcc' + b''.join(
        (kind << 9 | len(value)).to_bytes(2, 'big') + value for kind, value in tlvs)
    yield 'ipmi_answers', b''.join(bytes([len(answer)]) + answer for answer in (
        b'\0\0\0\0', b'\2', b'\1\1\1', b'\0\2\x20\1\x0d\xb8' + bytes(11) + b'\1\x40\0',
        b'\x3c\xec\xef\xaa\xbb\xcc', b'\xc0\0\2\x83', b'\0'))
    naa = b'\1\3\0\x08\x50\0\xc5\0\xaa\xbb\xcc\xdd'
    for machine in 'arm64-server', 'arm64-devicetree':
        yield 'arm', (HERE.parent / 'tests/fixtures/machines' / machine / 'tree.txt').read_bytes()
    yield 'arm', b'radxa,rock-5b\0rockchip,rk3588\0'
    yield 'ata_identify', ata_identify()
    # A controller that can do everything, and a namespace of 4096 bytes in its fourth format.
    yield 'nvme', bytes(256) + b'\x0a\0' + bytes(70) + b'\7\0\0\xa0' + bytes(192) + b'\7'
    yield 'nvme', b'\1' + bytes(25) + b'\x13\0\0\x0a' + bytes(98) + b'\0\0\x0c\0'
    yield 'nvme', b'\1\0\0\0\7\0\0\0\0\0\0\0'
    utf16 = f'image\r\n{DIGEST}  image\r\n'.encode('utf-16-le')
    yield 'checksum_file', b'2/image\n\xff\xfe' + utf16
    yield 'sense', bytes.fromhex('7201001d0000000e090c010040000034001200004050')
    yield 'sense', bytes.fromhex('7000020000000a00000000041b0000808000')
    yield 'vpd', b'\0\x83\0\x18' + naa + b'\1\x13' + naa[2:]
    yield 'vpd', b'\0\x80\0\x08 AC0001 '
    yield 'vpd', b'\0\x83\0\x1c\2\1\0\x10ACME    12345678\2\2\0\4wxyz'
    modules = (structure(17, 7, (0x1000).to_bytes(2, 'little') + bytes(6) + b'\0\x40' + bytes(26))
               + structure(16, 0x1000, b'\3\3\6' + bytes(16)))
    yield 'smbios', (b'_SM3_\0\x18\3\2\0\1' + bytes(13)
                     + structure(0, 0, b'\1\2\0\xf0\3' + bytes(15), b'SeaBIOS', b'1.16', b'04/01/2014')
                     + structure(1, 1, b'\1\2\0\3' + bytes(19), b'ACME', b'X1', b'SN')
                     + structure(4, 2, bytes(12) + b'\1' + bytes(25), b'CPU') + modules
                     + structure(127, 3, b''))
    for dump in sorted((HERE.parent / 'tests/fixtures/dmi').glob('*.bin')):
        yield 'dmi', dump.read_bytes()


def ata_identify():
    words = [0] * 256
    for number, word in {0: 0x40, 59: 0xf400, 83: 0x4000, 89: 0x8001, 90: 1, 128: 0x21, 217: 1,
                         255: 0xa5}.items():
        words[number] = word
    page = bytearray(b''.join(word.to_bytes(2, 'little') for word in words))
    page[511] = -sum(page) % 256
    return bytes(page)


def tool(*command, stdin=''):
    subprocess.run(command, input=stdin, text=True, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def made_by_tools(folder):
    """Seeds of file systems and partition tables."""
    disk = folder / 'disk'

    def blank(size):
        disk.write_bytes(bytes(size))
        return disk

    tool('/usr/sbin/sfdisk', blank(64 << 10), stdin='label: gpt\nfirst-lba: 34\ngrain: 512\n'
         'start=34,size=8,type=U\nstart=42,size=8,name=root\n')
    yield 'gpt', disk.read_bytes()
    tool('/usr/sbin/sfdisk', blank(64 << 10),
         stdin='label: dos\ngrain: 512\n1,8\n9,64,E\n10,8\n20,8\n')
    yield 'mbr', disk.read_bytes()
    for case in json.loads(TABLES.read_text())['cases']:
        content = bytearray(160 << 10)
        for offset, piece in case['content']:
            content[offset:offset + len(piece) // 2] = bytes.fromhex(piece)
        # Those of 512 bytes have all their records within these 160 KiB.
        if case['block'] == 512 and len(content) == 160 << 10:
            yield 'mbr', bytes(content)
    (folder / 'tree').mkdir()
    (folder / 'tree' / 'meta_data.json').write_text('{"uuid": "x"}')
    for width, size in (('12', 64 << 10), ('16', 4300 << 10)):
        tool('/usr/sbin/mkfs.fat', '-F', width, '-s', '1', '-n', 'CONFIG-2', blank(size))
        tool('mcopy', '-s', '-i', disk, folder / 'tree', '::/')
        yield 'fat', disk.read_bytes()[:128 << 10]
    tool('xorriso', '-as', 'mkisofs', '-R', '-J', '-V', 'config-2', '-o', folder / 'iso',
         folder / 'tree')
    # The padding at its end holds nothing.
    iso = (folder / 'iso').read_bytes()[:120 << 10]
    yield 'iso9660', iso
    for content in (iso, disk.read_bytes()[:8192], b'{}'):
        yield 'config_drive', base64.b64encode(gzip.compress(content))
    yield 'config_drive', gzip.compress(iso) + bytes(9)
    yield 'config_drive', b'data:;base64,' + base64.urlsafe_b64encode(base64.b64encode(gzip.compress(b'x')))
    tables = json.loads((HERE.parent / 'tests/fixtures/boot_tables/nbft.json').read_text())
    for case in tables['cases']:
        yield 'nbft', bytes.fromhex(case['table'])
    trees = json.loads((HERE.parent / 'tests/fixtures/config_drives/trees.json').read_text())
    for case in trees['images']:
        yield 'iso9660', gzip.decompress(base64.b64decode(case['image']))[:160 << 10]
    yield from (('raid_superblock', seed) for seed in superblocks())


def superblocks():
    """The kind, then what lies at its place."""
    cases = json.loads((HERE.parent / 'tests/fixtures/raid_superblocks/cases.json').read_text())
    for case in cases:
        said, size = case['examine'], case['size']
        first, last = (gzip.decompress(base64.b64decode(case[end])) for end in ('first', 'last'))
        kinds = {'0.90.00': (0, size // 65536 * 65536 - 65536), '1.1.00': (4, size - 1024),
                 '01.02.00': (5, size - 512)}
        if 'Super Offset' in said:
            place = int(said['Super Offset'].split()[0]) * 512
            kind = ['1.0', '1.1', '1.2'].index(said['Version']) + 1
        else:
            kind, place = kinds[said['Version']]
        content, at = (first, place) if place < len(first) else (last, place - size + len(last))
        yield bytes([kind]) + content[at:at + 4096]


DICTIONARIES = {
    'certificate': [b'\x55\x1d\x13', b'\x55\x1d\x0f', b'\x55\x1d\x25', b'\x55\x1d\x11', b'\1\1\xff', b'\x30\x82',
                    b'\x30\3\1\1\xff', b'\x06\x08\x2b\6\1\5\5\7\3\1', b'\xa0\3\2\1\2', b'\xa0\x0a'],
    'gpt': [b'EFI PART', b'\0\0\1\0', b'\x5c\0\0\0', b'\x80\0\0\0'],
    'mbr': [b'\x55\xaa', b'\x80', b'\xee', b'\x05', b'\x0f'],
    'fat': [b'\xeb\x3c\x90', b'FAT12   ', b'FAT16   ', b'FAT32   ', b'\xf8\xff', b'\xff\x0f',
            b'..         \x10', b'\x55\xaa'],
    'iso9660': [b'CD001', b'RR\5\1\x81', b'NM', b'CE\x1c\1', b'SP\7\1\xbe\xef', b'%/E', b';1', b'SL\x0f\1\0\4\0\0\4name', b'SL\x07\1\0\x08\0', b'PX\x2c\1', b'CL\x0c\1',
                b'RE\4\1'],
    'config_drive': [b'H4sIA', b'====', b'\n', b'data:;base64,', b'\x1f\x8b\x08', b'\xff\xfe', b'-_'],
    'boot_entry': [b'\x7f\xff\4\0', b'\4\1', b'\4\4', b'\0\0'],
    'loader_table': [b',', b',\0', b'\r\0\n\0', b'\\\0', b'.\0e\0f\0i\0', b'\xff\xfe', b'\xfe\xff'],
    'name_answer': [b'\xc0\x0c', b'\0\1\0\1', b'\0\x1c\0\1', b'\0\5\0\1', b'nameserver ', b'search ',
                    b'options ', b'timeout:', b'fe80::1%', b'\6my_img\4test\0'],
    'nbft': [b'NBFT', b'nqn.', b'nvme+tcp://', b'\0\xff\xff', b'4420'],
    'ntp_answer': [b'\x24', b'\x1c', b'\1', b'RATE', b'DENY'],
    'port_answer': [b'\x63\x82\x53\x63', b'\x35\1\2', b'\x35\1\6', b'\x86\xdd\x60', b'\x3a\xff', b'\3\4\x40'],
    'vpd': [b'\0\x80', b'\0\x83', b'\1\3', b'\2\1', b'\3\x08', b'naa.', b'eui.'],
    'lldp': [b'\xfe\6\0\x80\xc2', b'\xfe\6\0\x12\x0f', b'\4\0', b'\5\1', b'\5\2', b'\2\7\4', b'\0\0'],
    'ipmi_answers': [b'\4\xc0\0\2\1', b'\1\2', b'\3\1\1\1', b'\x14\0\2', b'\x14\0\x80'],
    'dmi': [b'\0\0\0\x18', b'\0\0\x04\x32', b'\0\0\x11\x64', b'\0\0\x10\x17', b'\xff\x7f', b'\xfe',
            b'Intel', b'AMD', b'\0\0\0\x80'],
    'raid_superblock': [b'\xfc\x4e\x2b\xa9', b'Intel Raid ISM Cfg Sig. 1.1.00', b'\xde\x11\xde\x11', b'any:root'],
    'arm': [b'CPU implementer\t: 0x', b'CPU part\t: 0x', b'processor\t: ', b'\n', b'\0'],
    'smbios': [b'_SM_', b'_SM3_', b'\0\0', b'\x7f\4', b'\x11\x28', b'\x10\x17'],
}


def main(folder):
    dictionaries = {target: [token.encode() for token in tokens]
                    for target, (_, tokens) in TEXT.items()} | DICTIONARIES
    seeds = [(target, seed.encode()) for target, (texts, _) in TEXT.items() for seed in texts]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        seeds += [*binary(), *certificates(), *made_by_tools(scratch)]
        for target, seed, tokens in image_seeds(scratch):
            seeds.append((target, seed))
            dictionaries[target] = tokens
    for number, (target, seed) in enumerate(seeds):
        (folder / 'seeds' / target).mkdir(parents=True, exist_ok=True)
        (folder / 'seeds' / target / f'{number}').write_bytes(seed)
    (folder / 'dictionaries').mkdir(exist_ok=True)
    for target, tokens in dictionaries.items():
        lines = (''.join(f'\\x{byte:02x}' for byte in token) for token in tokens)
        (folder / 'dictionaries' / target).write_text(''.join(f'"{line}"\n' for line in lines))


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]))
