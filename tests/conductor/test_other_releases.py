"""A conductor that is not of the newest release."""

import os

import pytest

from conductor import other_releases
from lab import Image, Lab, paths
from lab.release import Release

# 2025.1, with the constraints of that time; `make lab-matrix` has more.
RELEASE = '29.0.6'


@pytest.fixture(scope='module')
def older():
    release = Release.of(RELEASE)
    if not release.program('ironic').exists():
        pytest.exit(f'{release.venv} is missing: `tests/lab/install-conductor {RELEASE}` makes it', returncode=2)
    worker = os.environ.get('PYTEST_XDIST_WORKER', '')
    with Lab(paths.LAB / f'run-older{worker and "-"}{worker}', release=release) as lab:
        yield lab


def test_an_older_conductor_inspects_cleans_and_deploys(older):
    image = Image.publish(older, paths.TEST_IMAGE)
    done = []
    other_releases.lead(older, image, lambda step, _: done.append(step), fast_track=True)
    assert done == ['inspect', 'clean', 'deploy']
    assert older.conductor.release.version == RELEASE
