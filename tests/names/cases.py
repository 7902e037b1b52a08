"""Cases of host names: what is asked for, of which servers, and where farrier answers differently.

A case without an answer of its own wants the C library's. Another answer needs a reason.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'lab'))
from name_server import zone  # noqa: E402 pylint: disable=wrong-import-position

REASONS = {
    'bad words': 'A word of the search list that is no domain is left out. The C library gives up '
                 'at a word with two dots in a row or too long a part, and asks for the others.',
    'comment': 'A comment behind the domains is none of them; the C library asks for its words.',
    'line ends': 'A file with the line ends of DOS, a byte order mark or blanks before its '
                 'keywords says what it says. The C library takes nothing from it.',
    'fourth': 'The C library has room for three name servers. The fourth is asked here, too.',
    'other codes': 'A server that answers FORMERR knows nothing; the next one may. The C library '
                   'gives up.',
    'localhost': 'It is this machine (RFC 6761), whether a hosts file says so or not.',
    'dot': 'A dot at the end of a name does not take it out of the hosts file.',
}

IMG = {'img.lab.test': ['10.1.0.1']}
LONG = 'x' * 64


def one(name, names, resolv_conf='', **more):
    """One server, which knows these names."""
    return case(name, {'127.0.0.1': zone(names)}, resolv_conf, **more)


def two(name, first, second, resolv_conf='', **more):
    """Two servers, each a zone or None: nobody listens there."""
    servers = {'127.0.0.1': first, '127.0.0.2': second}
    servers = {address: content for address, content in servers.items() if content}
    return case(name, servers, resolv_conf, listed=('127.0.0.1', '127.0.0.2'), **more)


def case(name, servers, resolv_conf='', *, listed=('127.0.0.1',), hosts='', host_name='node',
         **answer):
    lines = ''.join(f'nameserver {address}\n' for address in listed)
    return {'name': name, 'resolv_conf': lines + resolv_conf, 'hosts': hosts,
            'host_name': host_name, 'servers': servers, **answer}


def all_cases():
    late = zone(IMG, delay=0.01)
    found = ['10.1.0.1']
    quick = 'options timeout:1 attempts:1\n'
    return [
        # Names.
        one('img.my_lab.test', {'img.my_lab.test': found}),
        one('img_1.lab.test', {'img_1.lab.test': found}),
        one('_img.lab.test', {'_img.lab.test': found}),
        one('img-.lab.test', {'img-.lab.test': found}),
        one('-img.lab.test', {'-img.lab.test': found}),
        one('10.lab.test', {'10.lab.test': found}),
        one('IMG.Lab.TEST', IMG),
        one('img.lab.test.', IMG),
        one('img..lab.test', IMG),
        one(f'{LONG}.lab.test', IMG),
        one('absent.lab.test', IMG),
        # Several servers.
        two('img.lab.test', late, zone()),
        two('img.lab.test', zone(), late),
        two('img.lab.test', zone(other='SERVFAIL'), zone(IMG)),
        two('img.lab.test', late, zone(other='SERVFAIL')),
        two('img.lab.test', zone(other='REFUSED'), zone(IMG)),
        two('img.lab.test', zone(other='NOTIMP'), zone(IMG)),
        two('img.lab.test', zone(other='FORMERR'), zone(IMG), farrier=found, why='other codes'),
        two('img.lab.test', zone(other='NOERROR', lame=True), zone(IMG)),
        two('img.lab.test', zone({'img.lab.test': []}), zone(IMG)),
        two('img.lab.test', zone(other='silent'), zone(IMG), quick),
        two('img.lab.test', None, zone(IMG)),
        two('img.lab.test', None, zone(), quick),
        two('img.lab.test', zone(other='SERVFAIL'), zone(other='REFUSED'), quick),
        two('img.lab.test', zone(other='silent'), zone(other='silent'), quick),
        two('img.lab.test', zone(IMG), zone(IMG), 'options rotate\n'),
        case('img.lab.test', {'127.0.0.4': zone(IMG)}, quick,
             listed=('127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'),
             farrier=found, why='fourth'),
        case('img.lab.test', {'::1': zone(IMG)}, listed=('::1',)),
        case('img.lab.test', {'127.0.0.1': zone(IMG, drop=2)}, 'options timeout:1 attempts:2\n'),
        # Search domains.
        one('img', IMG, 'search lab.test\n'),
        one('img', IMG, 'search other.test lab.test\n'),
        one('img', IMG, 'domain lab.test\n'),
        one('img', IMG, 'search .lab.test\n'),
        one('img', IMG, 'search lab.test.\n'),
        one('img', IMG, 'search my_lab.test lab.test\n'),
        one('img.lab.test', IMG, 'search (none)\n'),
        one('img', IMG, 'search (none) lab.test\n'),
        one('img', IMG, 'search (none)\n'),
        one('img.lab.test', IMG, 'search lab..test\n'),
        one('img', IMG, 'search lab..test lab.test\n', farrier=found, why='bad words'),
        one('img', {'img': found}, 'search lab..test\n'),
        one('img', IMG, f'search {LONG}.test lab.test\n', farrier=found, why='bad words'),
        one('img.lab.test', IMG, "domain Joe's net\n"),
        one('img', {'img': found}, "domain Joe's net\n"),
        one('img', {'img.net': found}, "domain Joe's net\n"),
        one('img', {**IMG, 'img.other.test': ['10.1.0.2']},
            'search lab.test\ndomain other.test\n'),
        one('img', {**IMG, 'img.other.test': ['10.1.0.2']},
            'domain other.test\nsearch lab.test\n'),
        one('img', {'img.comment': ['10.1.0.2']}, 'search lab.test # a comment\n',
            farrier=[], why='comment'),
        one('img.lab', IMG, 'search test\n'),
        one('img.lab', {**IMG, 'img.lab': ['10.1.0.2']}, 'search test\n'),
        one('img.lab', {**IMG, 'img.lab': ['10.1.0.2']}, 'search test\noptions ndots:2\n'),
        one('img', {**IMG, 'img': ['10.1.0.2']}, 'search lab.test\noptions ndots:0\n'),
        one('img', {'img': found}, 'search lab.test\n'),
        one('img', {'img': found}, 'search lab.test\noptions no-tld-query\n'),
        one('img.lab.test.', {'img.lab.test.other.test': found}, 'search other.test\n'),
        one('img', IMG, host_name='node.lab.test'),
        one('img', {**IMG, 'img.bad.test': 'SERVFAIL'}, f'search bad.test lab.test\n{quick}'),
        one('img', {**IMG, 'img.bad.test': 'silent'}, f'search bad.test lab.test\n{quick}'),
        one('img', {'img': found, 'img.bad.test': 'silent'}, f'search bad.test\n{quick}'),
        # The hosts file.
        one('img.lab.test', IMG, hosts='10.2.0.1 img.lab.test\n'),
        case('web.lab.test', {}, listed=(), hosts='10.2.0.1 web.lab.test\n'),
        case('web', {}, listed=(), hosts='# none\n10.2.0.1 Web.lab.test WEB # web\nfd00::2 web\n'),
        case('web.lab.test', {}, listed=(), hosts='10.2.0.1 other # web.lab.test\n'),
        one('img.lab.test', {'img.lab.test': ['10.1.0.1', 'fd00::1']},
            hosts='10.2.0.1 img.lab.test\n'),
        case('my_web', {}, 'search (none)\n', listed=(), hosts='10.2.0.1 my_web\n'),
        one('web.', {}, hosts='10.2.0.1 web\n', farrier=['10.2.0.1'], why='dot'),
        case('localhost', {}, listed=(), hosts='127.0.0.1 localhost\n::1 localhost\n'),
        case('localhost', {}, listed=(), farrier=['127.0.0.1', '::1'], why='localhost'),
        # The file itself.
        case('img.lab.test', {'127.0.0.1': zone(IMG)}, listed=()),
        case('img.lab.test', {}, listed=()),
        case('img.lab.test', {'127.0.0.3': zone(IMG)}, '# one\n;two\n\nnameserver\t127.0.0.3 # x\n',
             listed=()),
        case('img.lab.test', {'127.0.0.3': zone(IMG)},
             'nameserver ten.0.0.1\nnonsense\noptions\nsearch\nnameserver 127.0.0.3\n', listed=()),
        case('img', {'127.0.0.3': zone(IMG)}, 'nameserver 127.0.0.3\r\nsearch lab.test\r\n',
             listed=(), farrier=found, why='line ends'),
        case('img', {'127.0.0.3': zone(IMG)}, '  nameserver 127.0.0.3\n search lab.test\n',
             listed=(), farrier=found, why='line ends'),
        case('img.lab.test', {'127.0.0.3': zone(IMG)}, '\ufeffnameserver 127.0.0.3\n',
             listed=(), farrier=found, why='line ends'),
        # Answers.
        one('img.lab.test', {'img.lab.test': ['10.1.0.1', '10.1.0.2', 'fd00::1']}),
        one('img.lab.test', {'img.lab.test': ['fd00::1']}),
        one('alias.lab.test', {'alias.lab.test': [['other.lab.test']],
                               'other.lab.test': [['img.lab.test']], **IMG}),
        one('alias.lab.test', {'alias.lab.test': [['absent.lab.test']]}),
        case('img.lab.test', {'127.0.0.1': zone(IMG, truncated=True)}),
        one('img.lab.test', IMG, 'options use-vc\n'),
        case('img.lab.test', {'127.0.0.1': zone(IMG, AAAA='SERVFAIL')}, quick),
        case('img.lab.test', {'127.0.0.1': zone(IMG, AAAA='NXDOMAIN')}),
        case('img.lab.test', {'127.0.0.1': zone(IMG, AAAA='silent')}, quick),
        one('img.lab.test', {'img.lab.test': ['10.1.0.1', 'fd00::1']}, 'options no-aaaa\n'),
        one('img.lab.test', {'img.lab.test': ['10.1.0.1', 'fd00::1']},
            'options single-request\n'),
    ]
