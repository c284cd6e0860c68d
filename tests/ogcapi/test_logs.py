"""Logs over HTTP: of every step, while it runs and afterwards, whole or a part of it."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.serving import Server

TALKATIVE = """
import sys
print("part", part, flush=True)
print("about", part, file=sys.stderr)
"""
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def start(server: Server, process: str, **inputs: Any) -> str:
    answer = server.post(
        f"/processes/{process}/execution", {"inputs": inputs}, headers={"Prefer": "respond-async"}
    )
    assert answer.status_code == 201, answer.text
    job: str = answer.json()["jobID"]
    return job


def eventually(condition: Any, seconds: float = 60) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture(scope="module")
def chain(server: Server) -> str:
    job = start(server, "chain", count=3, code=TALKATIVE)
    assert server.finish(job)["status"] == "successful"
    return job


@pytest.fixture(scope="module")
def attempts(server: Server, chain: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get(f"/jobs/{chain}/attempts").json()["attempts"]
    return found


def test_the_status_links_the_logs_of_all_steps(server: Server, chain: str) -> None:
    links = server.get(f"/jobs/{chain}").json()["links"]
    (link,) = [link for link in links if link["type"] == "text/plain"]
    assert link["rel"] == "related"
    answer = server.get(link["href"])
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Accept-Ranges"] == "bytes"
    headings = [line for line in answer.text.splitlines() if line.startswith("==> ")]
    assert [line.split(", attempt")[0] for line in headings] == [
        f"==> step work, index {index}" for index in range(3) for _ in ("stdout", "stderr")
    ]
    for index in range(3):
        assert f"<==\npart p{index}\n" in answer.text


def test_logs_of_a_running_step_are_there_and_stay_when_it_is_cancelled(server: Server) -> None:
    code = "print('begun', flush=True); import time; time.sleep(200)"
    job = start(server, "chain", count=1, code=code)
    assert eventually(lambda: "begun" in server.get(f"/jobs/{job}/logs").text)
    assert server.get(f"/jobs/{job}").json()["status"] == "running"
    running = server.get(f"/jobs/{job}/attempts?step=work").json()["attempts"]
    assert [("verdict" in entry, entry["index"]) for entry in running] == [(False, 0)]
    server.delete(f"/jobs/{job}")
    assert server.finish(job)["status"] == "dismissed"
    assert "begun" in server.get(f"/jobs/{job}/logs").text


def test_filters_choose_step_index_attempt_and_stream(
    server: Server, chain: str, attempts: list[dict[str, Any]]
) -> None:
    second = server.get(f"/jobs/{chain}/logs?step=work&index=1").text
    assert "part p1" in second
    assert "part p0" not in second
    errors = server.get(f"/jobs/{chain}/logs?stream=stderr").text
    assert "about p2" in errors
    assert "part p2" not in errors
    name = next(entry["attempt"] for entry in attempts if entry.get("index") == 2)
    alone = server.get(f"/jobs/{chain}/logs?attempt={name}&stream=stdout")
    assert alone.text == "part p2\n"
    assert server.get(f"/jobs/{chain}/logs?step=join").text == ""


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("step=paint", 404),
        ("step=work&index=3", 404),
        ("index=7", 404),
        ("attempt=none", 404),
        ("step=..%2F..%2Frelease", 404),
        ("attempt=..", 404),
        ("step=work&attempt=.", 404),
        ("step=%00", 400),
        ("stream=stdin", 400),
        ("index=-1", 400),
        ("index=%C2%B2", 400),
        ("colour=red", 400),
        ("f=html", 400),
    ],
)
def test_what_does_not_exist_is_a_problem(
    server: Server, chain: str, query: str, status: int
) -> None:
    for headers in ({}, {"Range": "bytes=0-3"}):
        answer = server.get(f"/jobs/{chain}/logs?{query}", headers=headers)
        assert answer.status_code == status, answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_jobs_that_do_not_exist_or_were_removed_have_no_logs(server: Server) -> None:
    missing = server.get("/jobs/none/logs")
    assert missing.status_code == 404
    assert missing.json()["type"].endswith("/no-such-job")
    job = start(server, "greet", name="Ada")
    server.finish(job)
    assert server.get(f"/jobs/{job}/logs").status_code == 200
    server.delete(f"/jobs/{job}")
    for path in ("logs", "attempts"):
        assert server.get(f"/jobs/{job}/{path}").status_code == 410
    status = server.get(f"/jobs/{job}")
    assert not [link for link in status.json()["links"] if link["type"] == "text/plain"]
    assert server.get(f"/jobs/{job}", headers=BROWSER).status_code == 200


@pytest.mark.parametrize("range_", ["0-9", "5-", "-20", "70-130", "0-99999"])
def test_a_range_is_that_part_of_the_whole(server: Server, chain: str, range_: str) -> None:
    whole = server.get(f"/jobs/{chain}/logs").content
    answer = server.get(f"/jobs/{chain}/logs", headers={"Range": f"bytes={range_}"})
    first, _, last = range_.partition("-")
    size = len(whole)
    begin = int(first) if first else max(0, size - int(last))
    end = min(size - 1, int(last)) if first and last else size - 1
    assert answer.status_code == 206
    assert answer.content == whole[begin : end + 1]
    assert answer.headers["Content-Range"] == f"bytes {begin}-{end}/{size}"
    assert answer.headers["Content-Length"] == str(len(answer.content))


def test_a_range_behind_the_end_cannot_be_satisfied(server: Server, chain: str) -> None:
    size = len(server.get(f"/jobs/{chain}/logs").content)
    answer = server.get(f"/jobs/{chain}/logs", headers={"Range": f"bytes={size}-"})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{size}"
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "range_", ["bytes=0-1,5-6", "bytes=-99999", "lines=1-2", "bytes=x", "nonsense"]
)
def test_ranges_that_are_not_offered_are_ignored(server: Server, chain: str, range_: str) -> None:
    whole = server.get(f"/jobs/{chain}/logs")
    answer = server.get(f"/jobs/{chain}/logs", headers={"Range": range_})
    assert (answer.status_code, answer.content) == (200, whole.content)


def test_what_is_known_is_not_sent_again_and_a_part_only_of_what_is_known(
    server: Server, chain: str
) -> None:
    first = server.get(f"/jobs/{chain}/logs")
    tag = first.headers["ETag"]
    assert not tag.startswith("W/")
    again = server.get(f"/jobs/{chain}/logs", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    part = {"Range": "bytes=0-3", "If-Range": tag}
    assert server.get(f"/jobs/{chain}/logs", headers=part).content == first.content[:4]
    other = {"Range": "bytes=0-3", "If-Range": '"something else"'}
    answer = server.get(f"/jobs/{chain}/logs", headers=other)
    assert (answer.status_code, answer.content) == (200, first.content)


def test_head_tells_the_size_and_sends_nothing(server: Server, chain: str) -> None:
    whole = server.get(f"/jobs/{chain}/logs")
    for headers in ({}, {"Range": "bytes=0-3"}):
        answer = httpx.head(f"{server.url}/jobs/{chain}/logs", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["Content-Length"] == whole.headers["Content-Length"]
        assert answer.headers["ETag"] == whole.headers["ETag"]
        assert answer.content == b""


def test_a_log_that_grows_is_whole_at_every_moment_and_can_be_followed(server: Server) -> None:
    code = "import time\nfor n in range(3000): print('line', n, flush=True); time.sleep(0.001)"
    job = start(server, "chain", count=1, code=code)
    expected = "".join(f"line {n}\n" for n in range(3000))
    followed, name = b"", ""
    while len(followed) < len(expected):
        assert server.get(f"/jobs/{job}").json()["status"] in ("accepted", "running", "successful")
        everything = server.get(f"/jobs/{job}/logs")  # httpx checks the length
        assert everything.status_code == 200
        if not name:
            work = server.get(f"/jobs/{job}/attempts?step=work").json()["attempts"]
            name = work[0]["attempt"] if work else ""
            continue
        answer = server.get(
            f"/jobs/{job}/logs?step=work&attempt={name}&stream=stdout",
            headers={"Range": f"bytes={len(followed)}-"},
        )
        assert answer.status_code in (200, 206, 416), answer.text
        if answer.status_code != 416:
            followed += answer.content
    assert followed.decode() == expected
    server.finish(job)


def test_attempts_say_what_they_took_and_how_they_ended(
    server: Server, chain: str, attempts: list[dict[str, Any]]
) -> None:
    document = server.get(f"/jobs/{chain}/attempts").json()
    assert [
        (step["step"], step["state"], step["progress"], step["done"], step["total"])
        for step in document["steps"]
    ] == [("split", "done", 100, 1, 1), ("work", "done", 100, 3, 3), ("join", "done", 100, 1, 1)]
    work = [entry for entry in attempts if entry["step"] == "work"]
    assert sorted(entry["index"] for entry in work) == [0, 1, 2]
    for entry in attempts:
        assert (entry["verdict"], entry["exitCode"], entry["round"]) == ("commit", 0, 1)
        assert entry["started"] <= entry["ended"]
        assert entry["cpuSeconds"] > 0
        assert entry["peakMemoryMB"] > 1
        assert not {"signal", "reason", "error", "imageDigest"} & set(entry)
        assert server.get(entry["links"][0]["href"]).status_code == 200
    only = server.get(f"/jobs/{chain}/attempts?step=work&index=1").json()
    assert [entry["index"] for entry in only["attempts"]] == [1]
    assert [step["step"] for step in only["steps"]] == ["work"]


def test_a_failed_attempt_names_its_error(server: Server) -> None:
    job = start(server, "greet", name="nobody")
    server.finish(job)
    (entry,) = server.get(f"/jobs/{job}/attempts").json()["attempts"]
    assert (entry["verdict"], entry["exitCode"]) == ("fail", 65)
    assert entry["error"] == {"title": "nobody to greet", "detail": "give a name"}
    page = server.get(f"/jobs/{job}", headers=BROWSER).text
    assert "nobody to greet" in page
    assert f"/jobs/{job}/logs?step=greet&amp;attempt={entry['attempt']}" in page


def test_the_page_of_a_job_shows_its_attempts_and_links_their_logs(
    server: Server, chain: str
) -> None:
    for path in (f"/jobs/{chain}", f"/jobs/{chain}/attempts"):
        page = server.get(path, headers=BROWSER)
        assert page.headers["Content-Type"].startswith("text/html")
        assert page.text.count("<td>commit</td>") == 5
        assert f"/jobs/{chain}/logs?step=work&amp;index=2&amp;attempt=r1-" in page.text


def test_a_program_cannot_put_marks_into_the_page(server: Server) -> None:
    code = (
        "import json, sys\n"
        "print(json.dumps({'title': '<script>alert(1)</script>', 'detail': ''}), file=sys.stderr)\n"
        "sys.exit(65)"
    )
    job = start(server, "chain", count=1, code=code)
    assert server.finish(job)["status"] == "failed"
    assert "<script>alert" not in server.get(f"/jobs/{job}", headers=BROWSER).text
    logs = server.get(f"/jobs/{job}/logs", headers=BROWSER)
    assert "<script>alert" in logs.text
    assert logs.headers["Content-Type"].startswith("text/plain")
    assert "default-src 'none'" in logs.headers["Content-Security-Policy"]
