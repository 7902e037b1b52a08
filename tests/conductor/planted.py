"""Secrets that a test plants wherever a server is given some, and looking for them in what was written.

Every planted text has `planted-` and a number in it and stands nowhere else; the agent's own token and
the key of its certificate are looked for beside them.
"""

import json
import re
import tarfile

PLANTED = re.compile(r'planted-\w+-Qx\d+')

# Options whose values are secret, and others' parameters, on the kernel's command line, which every
# program can read and the kernel itself logs. The lookup's token takes the place of this one.
PARAMETERS = {
    'ipa-erase-record-url': 'http://poster:planted-pass-Qx1@192.0.2.1/planted-path-Qx2/records'
                            '?sig=planted-sig-Qx3&more=planted-more-Qx4',
    'ipa-agent-token': 'planted-token-Qx5-000000000000000000000000000000',
    'rootpwd': '"$6$planted-salt-Qx6$hash"',
    'site.proxy': 'http://me:planted-proxy-Qx7@192.0.2.1:3128',
}

# What a step may come with.
ARGUMENTS = {
    'password': 'planted-password-Qx8',
    'bmc': {'api_key': 'planted-key-Qx9', 'users': [{'client_secret': 'planted-secret-Qx10'}]},
    'source': 'https://me:planted-user-Qx11@192.0.2.1/x?X-Amz-Signature=planted-amz-Qx12&x=1',
    'configdrive': 'planted-drive-Qx13',
}

# Arguments of a step that refuses them, and of one that is not there.
OTHER_ARGUMENTS = {'auth_token': 'planted-auth-Qx14', 'private_key': 'planted-private-Qx15'}

RESCUE = {'rescue_password': '$6$planted-rescue-Qx16$hash', 'hashed': True}
# Longer than the SSH server takes: one that it takes would end the agent.
PLAIN_RESCUE = {'rescue_password': 'planted-plain-Qx17'.ljust(101, '.'), 'hashed': False}

# Of an image that is there; the server does not look at them.
USER_INFO = 'me:planted-image-Qx18'
QUERY = 'temp_url_sig=planted-swift-Qx19&sig=planted-azure-Qx20'

CONFIG_DRIVE = {'user_data': '#cloud-config\npassword: planted-user-data-Qx23\n'}


def absent_image(url):
    """`image_info` of an image that is not there, behind a proxy that wants a password."""
    host = url.split('/')[2]
    return {'id': 'absent', 'urls': [with_secrets(url)], 'os_hash_algo': 'sha512',
            'os_hash_value': '0' * 128, 'disk_format': 'raw',
            'image_server_auth_strategy': 'http_basic', 'image_server_user': 'me',
            'image_server_password': 'planted-server-Qx21',
            'proxies': {'http': f'http://me:planted-proxy-Qx22@{host}'}}


def with_secrets(url):
    """This URL with user, password and signatures."""
    scheme, rest = url.split('://')
    return f'{scheme}://{USER_INFO}@{rest}?{QUERY}'


# Runs in the server: names of files and processes, never what is in them.
LOOK = '''\
for file in $(/hand/busybox grep -rsl planted- /run/farrier); do
    echo "hand: secret in $file"
done
for process in /proc/[0-9]*; do
    for file in cmdline environ; do
        /hand/busybox grep -q planted- $process/$file && echo "hand: secret in $process/$file"
    done
    read -r name < $process/comm
    [ "$name" = farrier ] || [ $process = /proc/1 ] && while read -r line; do
        case $line in "Max core file size"*) echo "hand: ${process#/proc/} $line";; esac
    done < $process/limits
done
echo "hand: mode $(/hand/busybox stat -c %a /run/farrier /run/farrier/state /run/farrier/agent.log)"
echo "hand: end of secrets"
'''


def said(console):
    """What was written on a console by others than the kernel, which prints its command line before
    there is anybody to mask it."""
    return '\n'.join(line for line in console.splitlines()
                     if not re.match(r'\[ *\d+\.\d+\] ', line))


def members(archive):
    """The files of a stored archive by name."""
    with tarfile.open(archive) as opened:
        return {member.name: opened.extractfile(member).read()
                for member in opened if member.isfile()}


def expect_none(name, text, *others):
    """Fails where a secret is in this text (or in the JSON of this document)."""
    if not isinstance(text, (str, bytes)):
        text = json.dumps(text)
    if isinstance(text, bytes):
        text = text.decode(errors='replace')
    found = [match[0] for match in PLANTED.finditer(text)]
    found += [other for other in ('PRIVATE KEY', *others) if other in text]
    assert not found, f'{name}: {found}'
