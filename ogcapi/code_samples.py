"""An execute request as commands that can be copied: curl, and Python with httpx."""

from __future__ import annotations

import json
import pprint
import shlex
from typing import Any

LONG = 4000  # characters of a request from which on the commands read it from a file
FILE = "request.json"

PYTHON = """\
import time

import httpx

request = {request}

with httpx.Client(base_url={address!r}, timeout=60) as client:
    answer = client.post(
        {path!r}, json=request, headers={{"Prefer": "respond-async"}}
    )
    job = answer.raise_for_status().json()
    while job["status"] in ("accepted", "running"):
        time.sleep(2)
        job = client.get(f"/jobs/{{job['jobID']}}").raise_for_status().json()
    print(job["status"], job["message"])
    print(client.get(f"/jobs/{{job['jobID']}}/results").json())
"""


def request_text(request: dict[str, Any]) -> str:
    """Return the request as it is sent, indented; coordinates take one line, not five."""
    text = json.dumps(request, indent=2, ensure_ascii=False)
    return text if len(text) < LONG else json.dumps(request, ensure_ascii=False)


def curl(address: str, process_id: str, request: dict[str, Any]) -> str:
    """Return the command that sends a request to the server at `address`."""
    text = request_text(request)
    body = shlex.quote(text) if len(text) < LONG else f"@{FILE}"
    return (
        f"curl -X POST {shlex.quote(f'{address}/processes/{process_id}/execution')} \\\n"
        "  -H 'Content-Type: application/json' -H 'Prefer: respond-async' \\\n"
        f"  -d {body}"
    )


def python(address: str, process_id: str, request: dict[str, Any]) -> str:
    """Return a program that sends a request, waits for the job and prints its results."""
    long = len(request_text(request)) >= LONG
    if long:
        written = f'json.loads(Path("{FILE}").read_text(encoding="utf-8"))'
    else:
        written = pprint.pformat(request, sort_dicts=False, width=88)
    program = PYTHON.format(
        request=written, address=address, path=f"/processes/{process_id}/execution"
    )
    if long:
        program = program.replace("import time\n", "import json\nimport time\n", 1)
        program = program.replace(
            "\nimport httpx\n", "from pathlib import Path\n\nimport httpx\n", 1
        )
    return program
