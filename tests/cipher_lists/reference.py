#!/usr/bin/env python3
"""Asks OpenSSL what it makes of every list in cases.py: reference.py FILE.

    tests/cipher_lists/reference.py tests/fixtures/cipher_lists/cases.json

Of its answer stays what the agent's TLS library has, in OpenSSL's order: a digit for each, its place in
`offered`. That no suite is left is an empty text, whatever OpenSSL says about it; a list that it refuses for
how it is written is refused."""

import concurrent.futures
import datetime
import json
import os
import pathlib
import subprocess
import sys

import cases

# Without the system's settings, which have a security level of their own.
ENVIRONMENT = {'PATH': os.environ['PATH'], 'OPENSSL_CONF': '/dev/null'}


def openssl(*arguments):
    return subprocess.run(['openssl', *arguments], env=ENVIRONMENT, capture_output=True, check=False, text=True)


def reference(text):
    # It would be an option; a separator before it changes nothing.
    text = f':{text}' if text.startswith('-') else text
    asked = openssl('ciphers', '-s', '-tls1_2', text)
    if asked.returncode == 0:
        named = asked.stdout.strip().split(':')
        return {'offers': ''.join(str(cases.OFFERED.index(name)) for name in named if name in cases.OFFERED)}
    if 'no cipher match' in asked.stderr:
        return {'offers': ''}
    if 'invalid command' not in asked.stderr:
        raise SystemExit(f'{text!r}: {asked.stderr}')
    return {'refuses': 'invalid command'}


def evaluate(case):
    theirs = reference(case['list'])
    ours = case.get('farrier', theirs)
    if (ours != theirs) != ('why' in case):
        raise SystemExit(f'{case["list"]}: {theirs}, farrier {ours}, because of {case.get("why")}')
    return {**case, **theirs}


def main(path):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        evaluated = list(pool.map(evaluate, cases.all_cases()))
    used = {case['why'] for case in evaluated if 'why' in case}
    if used != set(cases.REASONS):
        raise SystemExit(f'reasons without a case: {set(cases.REASONS) - used}')
    version = openssl('version').stdout.strip()
    head = json.dumps({'reference': version, 'date': datetime.date.today().isoformat(),
                       'offered': cases.OFFERED, 'reasons': cases.REASONS}, indent=1).removesuffix('\n}')
    # A case is a line, so that a change of one is a change of a line.
    lines = ',\n'.join('  ' + json.dumps(case, ensure_ascii=False) for case in evaluated)
    path.write_text(f'{head},\n "cases": [\n{lines}\n ]\n}}\n')
    print(f'{len(evaluated)} cases with {version}; farrier differs in {sum("why" in case for case in evaluated)}')


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]))
