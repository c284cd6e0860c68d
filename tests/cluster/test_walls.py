"""Two jobs never see each other's folder, and a step writes nowhere but in its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.watched import Start, Watched

LOOK = """
import json, os
root = '/cdi/workspace'
job, step = os.getcwd().split('/')[4:6]

def can_write(folder):
    try:
        with open(f'{root}/{folder}/trace', 'w') as stream:
            stream.write('x')
    except OSError as error:
        return error.strerror
    return True

found = {
    'job': job,
    'jobs': os.listdir(f'{root}/jobs'),
    'workspace': sorted(os.listdir(root)),
    'writes': {
        'step': can_write(f'jobs/{job}/{step}'),
        'job': can_write(f'jobs/{job}'),
        'inputs': can_write(f'jobs/{job}/inputs'),
        'jobs': can_write('jobs'),
        'cache': can_write('cache/sha256'),
        'workspace': can_write('.'),
        'root': can_write('../..'),
        'tmp': can_write('../../tmp'),
    },
    'token': os.path.exists('/var/run/secrets/kubernetes.io'),
    'user': os.getuid(),
    'others': sorted(name for name in os.listdir('/proc') if name.isdigit()),
}
json.dump(found, open('result.txt', 'w'))
"""


def found_by(job: Watched) -> dict[str, Any]:
    results = job.succeeds().results or {}
    found: dict[str, Any] = json.loads(job.installation.text(results["result"]))
    return found


@pytest.mark.parametrize("network", [False, True], ids=["without network", "with network"])
def test_a_step_sees_its_own_job_and_writes_only_in_its_own_folder(
    start: Start, network: bool
) -> None:
    other = start()
    other.succeeds()
    cache = other.installation.workspace.root / "cache" / "sha256"
    cache.mkdir(parents=True, exist_ok=True)
    found = found_by(start(LOOK, beside=other, network=network))
    assert found["job"] != other.job.id
    assert found["jobs"] == [found["job"]]
    assert found["workspace"] == ["cache", "jobs"]
    may_write = {name for name, allowed in found["writes"].items() if allowed is True}
    assert may_write == {"step", "tmp"} | ({"cache"} if network else set())
    assert not found["token"]
    assert found["user"] == 10001
