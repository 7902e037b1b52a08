"""Cases of proxies: an environment, a URL, and where farrier answers differently.

A case without an answer of its own wants curl's and requests'. Where they differ, or farrier is
like neither, the case needs a reason.
"""

REASONS = {
    'port': 'An entry with a port is for that port, as in requests, which takes it for names only; '
            'curl never matches it.',
    'default port': 'A URL without a port has its scheme\'s. requests compares only a port that '
                    'the URL names; curl never matches an entry with one.',
    'IPv6': 'curl 7.88 and requests compare IPv6 addresses as text. One address means the same '
            'however it is written, and curl\'s manual promises networks.',
    'dots': 'A dot at the end of a name is no part of it, as in curl.',
    'blanks': 'Blanks separate hosts as commas do, as in curl, and around a star they do not '
              'count.',
    'ends of addresses': 'The end of an address is no domain: requests lets every entry match the '
                         'end of a host.',
    'upper case': 'HTTP_PROXY is taken, as in requests: curl leaves it out for the sake of CGI '
                  'programs, which the agent is not.',
    'empty': 'An empty variable is as good as none, as in curl. In requests it hides the one in '
             'upper case.',
    'user alone': 'A user without a password has an empty one, as in curl; requests leaves out '
                  'both.',
    'bytes': 'The user and password are the bytes that are written, as in curl; requests takes '
             'their letters for Latin-1.',
    'at sign': 'The last @ ends the password, as in requests. curl takes what follows the first '
               'for the host, and fails.',
    'no scheme': 'A proxy without a scheme may have a user, as in curl. requests fails.',
    'port of a proxy': 'A proxy without a port has its scheme\'s, as in requests; curl takes 1080.',
    'backslash': 'The backslash of DOMAIN\\user belongs to the user, as in curl. requests takes it '
                 'for the end of the host, and fails.',
    'socks': 'Only HTTP proxies are spoken to; another one is refused by name.',
}

PROXY = 'http://127.0.0.1:3128'
HERE = {'scheme': 'http', 'port': 3128}


def excepted(no_proxy, url='http://img.lab.test/', why=None, farrier=None):
    """A request to this URL with this no_proxy."""
    return case({'http_proxy': PROXY, 'https_proxy': PROXY, 'no_proxy': no_proxy}, url, why,
                farrier)


def through(proxy, why=None, farrier=None):
    """A request that goes through this proxy."""
    return case({'http_proxy': proxy}, 'http://img.lab.test/', why, farrier)


def case(environment, url='http://img.lab.test/', why=None, farrier=None):
    answer = {'environment': environment, 'url': url}
    if why:
        answer |= {'why': why, 'farrier': farrier}
    return answer


def signed(authorization):
    return {**HERE, 'authorization': f'Basic {authorization}'}


def all_cases():
    v4, v6 = 'http://10.1.2.3/', 'http://[fd00::5]/'
    return [
        # no_proxy: names.
        excepted('img.lab.test'),
        excepted('lab.test'),
        excepted('.lab.test'),
        excepted('.img.lab.test'),
        excepted('img.lab.test.', why='dots', farrier='direct'),
        excepted('.lab.test.', why='dots', farrier='direct'),
        excepted('b.test'),
        excepted('other.test'),
        excepted('IMG.Lab.Test'),
        excepted('img.lab.test', 'http://img.lab.test./', why='dots', farrier='direct'),
        excepted('my_lab.test', 'http://img.my_lab.test/'),
        excepted('*'),
        excepted(' * ', why='blanks', farrier='direct'),
        excepted('*,other.test'),
        excepted('*.lab.test'),
        excepted('other.test,lab.test'),
        excepted(' other.test , lab.test '),
        excepted('other.test lab.test', why='blanks', farrier='direct'),
        excepted('other.test,,lab.test,'),
        excepted(''),
        excepted('lab.test', 'https://img.lab.test/'),
        # With a port.
        excepted('img.lab.test:8080', 'http://img.lab.test:8080/', why='port', farrier='direct'),
        excepted('img.lab.test:8080', 'http://img.lab.test:8081/'),
        excepted('img.lab.test:8080'),
        excepted('lab.test:8080', 'http://img.lab.test:8080/', why='port', farrier='direct'),
        excepted('.lab.test:8080', 'http://img.lab.test:8080/', why='port', farrier='direct'),
        excepted('img.lab.test:80', why='default port', farrier='direct'),
        excepted('img.lab.test:443', 'https://img.lab.test/', why='default port', farrier='direct'),
        excepted('img.lab.test', 'http://img.lab.test:8080/'),
        excepted('10.1.2.3:8080', 'http://10.1.2.3:8080/', why='port', farrier='direct'),
        excepted('[fd00::5]:8080', 'http://[fd00::5]:8080/', why='port', farrier='direct'),
        excepted('[fd00::5]:8080', 'http://[fd00::5]:8081/'),
        # Addresses.
        excepted('10.1.2.3', v4),
        excepted('10.1.2.4', v4),
        excepted('10.1.0.0/16', v4),
        excepted('10.2.0.0/16', v4),
        excepted('10.1.2.3/32', v4),
        excepted('0.0.0.0/0', v4),
        excepted('2.3', v4, why='ends of addresses', farrier=HERE),
        excepted('10.1.2.3', 'http://10.1.2.3:8080/'),
        excepted('fd00::5', v6),
        excepted('[fd00::5]', v6, why='IPv6', farrier='direct'),
        excepted('fd00:0:0::5', v6, why='IPv6', farrier='direct'),
        excepted('fd00::/16', v6, why='IPv6', farrier='direct'),
        excepted('fd00::/16', 'http://[fe00::5]/'),
        excepted('10.0.0.0/8', 'http://img.lab.test/'),
        # The user.
        through('http://me:secret@127.0.0.1:3128'),
        through('me:secret@127.0.0.1:3128', 'no scheme', signed('bWU6c2VjcmV0')),
        through('http://me@127.0.0.1:3128', 'user alone', signed('bWU6')),
        through('http://DOMAIN\\me:secret@127.0.0.1:3128', 'backslash',
                signed('RE9NQUlOXG1lOnNlY3JldA==')),
        through('DOMAIN\\me:secret@127.0.0.1:3128', 'backslash',
                signed('RE9NQUlOXG1lOnNlY3JldA==')),
        through('http://DOMAIN%5Cme:secret@127.0.0.1:3128'),
        through('http://DOMAIN%5cme:s%40cret%3A%2F@127.0.0.1:3128'),
        through('http://me:se:cret@127.0.0.1:3128'),
        through('http://me:s@cret@127.0.0.1:3128', 'at sign', signed('bWU6c0BjcmV0')),
        through('http://m%C3%A9:secret@127.0.0.1:3128', 'bytes', signed('bcOpOnNlY3JldA==')),
        through('http://me:100%@127.0.0.1:3128'),
        # Its URL.
        through('127.0.0.1:3128'),
        through('HTTP://127.0.0.1:3128'),
        through('http://127.0.0.1:3128/a/path'),
        through('http://127.0.0.1', 'port of a proxy', {'scheme': 'http', 'port': 80}),
        through('socks5://127.0.0.1:3128', 'socks', 'refused'),
        # The names of the variables.
        case({'http_proxy': PROXY}, 'https://img.lab.test/'),
        case({'https_proxy': PROXY}),
        case({'HTTP_PROXY': PROXY}, why='upper case', farrier=HERE),
        case({'HTTPS_PROXY': PROXY}, 'https://img.lab.test/'),
        case({'all_proxy': PROXY}),
        case({'ALL_PROXY': PROXY}, 'https://img.lab.test/'),
        case({'http_proxy': PROXY, 'HTTP_PROXY': 'http://127.0.0.1:80'}),
        case({'https_proxy': PROXY, 'all_proxy': 'http://127.0.0.1:80'}, 'https://img.lab.test/'),
        case({'https_proxy': '', 'HTTPS_PROXY': PROXY}, 'https://img.lab.test/', 'empty', HERE),
        case({'https_proxy': '', 'all_proxy': PROXY}, 'https://img.lab.test/'),
        case({'http_proxy': PROXY, 'NO_PROXY': 'lab.test'}),
        case({'http_proxy': PROXY, 'no_proxy': 'other.test', 'NO_PROXY': 'lab.test'}),
        case({'http_proxy': PROXY, 'no_proxy': '', 'NO_PROXY': 'lab.test'}),
    ]
