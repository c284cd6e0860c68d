"""A retried job does again only what was not done, and stands on its own afterwards."""

from __future__ import annotations

import copy
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from k8s_manager import retry as retries
from k8s_manager.errors import JobGone, NoSuchJob, NotRetryable
from k8s_manager.records import Job, NewJob
from k8s_manager.retry import ReusedStep, retries_of, reused_steps
from tests.faults.controllers import controller, until_settled
from tests.k8s_manager.installation import Installation, eventually, process_of


def retry(installation: Installation, job: Job) -> Job:
    return retries.retry(installation.settings, installation.store, job.id)


def counting(folder: Path, others: int = 2) -> str:
    """Return code that notes each run of a part; `p1` fails, when the others are done, until told.

    A part's working folder is jobs/<job>/work/<index>/<attempt>/outputs.
    """
    folder.mkdir(exist_ok=True)
    (folder / "fail").touch()
    return (
        f"folder = pathlib.Path({str(folder)!r}); (folder / part).open('a').write('x')\n"
        "if part == 'p1' and (folder / 'fail').exists():\n"
        "    import time\n"
        f"    while len(list(pathlib.Path('../../..').glob('*/*/attempt.json'))) < {others}:\n"
        "        time.sleep(0.02)\n"
        "    time.sleep(1); raise SystemExit(65)\n"
    )


def runs(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.glob("p*")}


def submit(
    installation: Installation, values: dict[str, Any], change: Callable[[Any], None]
) -> Job:
    """Record a job of the chain whose process files were changed."""
    process = process_of("chain")
    snapshot = copy.deepcopy(process.to_json())
    change(snapshot["documents"])
    new = NewJob(process.id, process.version, snapshot, {"values": values})
    return installation.store.create_job(new)


def verdicts(installation: Installation, job: Job, step: str) -> dict[int, str]:
    return {index: verdict for name, index, verdict in installation.verdicts(job) if name == step}


def failed_chain(installation: Installation, folder: Path) -> Job:
    """Run three parts of which one fails after the others are done."""
    job = installation.run("chain", {"count": 3, "code": counting(folder)})
    assert job.outcome == "failed"
    assert verdicts(installation, job, "work") == {0: "commit", 1: "fail", 2: "commit"}
    (folder / "fail").unlink()
    return job


def remove(installation: Installation, job: Job) -> None:
    installation.store.remove(job.id)
    controller = installation.controller()
    controller.step()
    controller.dispose()
    assert not installation.workspace.job(job.id).exists()


@pytest.mark.every_store
def test_only_the_failed_index_runs_again(installation: Installation, tmp_path: Path) -> None:
    old = failed_chain(installation, tmp_path / "runs")
    new = installation.finish(retry(installation, old))
    assert new.results is not None
    assert installation.text(new.results["total"]) == str(1 + 4 + 9)
    assert runs(tmp_path / "runs") == {"p0": 1, "p1": 2, "p2": 1}
    assert sorted(installation.verdicts(new)) == [
        ("join", 0, "commit"), ("split", 0, "reused"),
        ("work", 0, "reused"), ("work", 1, "commit"), ("work", 2, "reused"),
    ]  # fmt: skip
    assert reused_steps(installation.store.database, new.id) == [
        ReusedStep("split", old.id, (0,)), ReusedStep("work", old.id, (0, 2)),
    ]  # fmt: skip
    assert installation.store.job(old.id) == old
    assert (new.retry_of, retries_of(installation.store.database, old.id)) == (old.id, [new.id])
    assert (new.process, new.request, new.owner) == (old.process, old.request, old.owner)


def test_the_new_job_outlives_the_old_one(installation: Installation, tmp_path: Path) -> None:
    old = failed_chain(installation, tmp_path / "runs")
    new = installation.finish(retry(installation, old))
    remove(installation, old)
    assert new.results is not None
    assert [installation.text(item) for item in new.results["squares"]] == ["1", "4", "9"]
    for item in new.results["squares"]:
        assert item["location"].startswith(f"workspace:jobs/{new.id}/work/")
    for attempt in installation.store.attempts(new.id):
        assert (installation.workspace.path(attempt.folder) / "stdout").exists()


@pytest.mark.every_store
def test_a_retry_of_a_retry_knows_what_the_first_job_did(
    installation: Installation, tmp_path: Path
) -> None:
    first = failed_chain(installation, tmp_path / "runs")
    (tmp_path / "runs" / "fail").touch()
    second = installation.finish(retry(installation, first))
    assert second.outcome == "failed"
    (tmp_path / "runs" / "fail").unlink()
    remove(installation, first)
    third = installation.finish(retry(installation, second))
    assert third.outcome == "successful"
    assert runs(tmp_path / "runs") == {"p0": 1, "p1": 3, "p2": 1}
    used = reused_steps(installation.store.database, third.id)
    assert {step.job for step in used} == {first.id}  # where they ran
    remove(installation, second)
    assert third.results is not None
    assert installation.text(third.results["total"]) == "14"


def test_what_the_retried_retry_did_not_reach_is_taken_from_the_first_job(
    installation: Installation, tmp_path: Path
) -> None:
    first = failed_chain(installation, tmp_path / "runs")
    second = retry(installation, first)
    installation.store.request_dismiss(second.id)
    assert installation.finish(second).outcome == "dismissed"
    third = installation.finish(retry(installation, second))
    assert third.outcome == "successful"
    assert runs(tmp_path / "runs") == {"p0": 1, "p1": 2, "p2": 1}


def test_a_dismissed_job_goes_on_where_it_was(installation: Installation, tmp_path: Path) -> None:
    code = counting(tmp_path / "runs") + (
        "if part == 'p2':\n"
        "    import time\n"
        "    while (folder / 'slow').exists(): time.sleep(0.02)\n"
    )
    (tmp_path / "runs" / "fail").unlink()
    (tmp_path / "runs" / "slow").touch()
    old = installation.submit("chain", {"count": 3, "code": code})

    controller = installation.controller()

    def two_done_and_one_running() -> bool:
        controller.step()
        done = {step.step: step.done for step in installation.store.steps(old.id)}
        return done.get("work") == 2 and (tmp_path / "runs" / "p2").exists()

    assert eventually(two_done_and_one_running)
    controller.dispose()
    installation.store.request_dismiss(old.id)
    assert installation.finish(old).outcome == "dismissed"
    (tmp_path / "runs" / "slow").unlink()
    new = installation.finish(retry(installation, old))
    assert new.outcome == "successful"
    assert runs(tmp_path / "runs") == {"p0": 1, "p1": 1, "p2": 2}


def test_a_step_that_forbids_reuse_runs_again_and_those_after_it_do_not(
    installation: Installation, tmp_path: Path
) -> None:
    def forbid(documents: Any) -> None:
        documents["split.cwl"]["requirements"] = {"WorkReuse": {"enableReuse": False}}

    folder = tmp_path / "runs"
    old = submit(installation, {"count": 3, "code": counting(folder)}, forbid)
    assert installation.finish(old).outcome == "failed"
    (folder / "fail").unlink()
    new = installation.finish(retry(installation, old))
    assert verdicts(installation, new, "split") == {0: "commit"}
    assert verdicts(installation, new, "work") == {0: "reused", 1: "commit", 2: "reused"}


def test_an_index_whose_input_has_changed_runs_again(
    installation: Installation, tmp_path: Path
) -> None:
    number = tmp_path / "number"
    number.write_text("5")

    def read_a_number(documents: Any) -> None:
        tool = documents["split.cwl"]
        tool["requirements"] = {"WorkReuse": {"enableReuse": False}}
        code = tool["arguments"][0]["valueFrom"]
        own = f'pathlib.Path("0.txt").write_text(pathlib.Path({str(number)!r}).read_text())\n'
        tool["arguments"][0]["valueFrom"] = code.replace("parts = [", own + "parts = [")

    folder = tmp_path / "runs"
    old = submit(installation, {"count": 3, "code": counting(folder)}, read_a_number)
    assert installation.finish(old).outcome == "failed"
    (folder / "fail").unlink()
    number.write_text("6")
    new = installation.finish(retry(installation, old))
    assert verdicts(installation, new, "work") == {0: "commit", 1: "commit", 2: "reused"}
    assert new.results is not None
    assert installation.text(new.results["total"]) == str(36 + 4 + 9)


@pytest.mark.parametrize("named_by", ["command", "default"])
def test_a_program_that_was_mended_runs_again(
    installation: Installation, tmp_path: Path, named_by: str
) -> None:
    tool = tmp_path / "split.py"

    def own_program(documents: Any) -> None:
        split = documents["split.cwl"]
        tool.write_text(split["arguments"][0]["valueFrom"])
        del split["arguments"]
        if named_by == "command":
            split["baseCommand"] = ["python", str(tool)]
        else:  # as in "a process of your own"
            split["baseCommand"] = ["python"]
            split["inputs"]["program"] = {
                "type": "File",
                "default": {"class": "File", "location": str(tool)},
                "inputBinding": {"position": 0},
            }

    folder = tmp_path / "runs"
    old = submit(installation, {"count": 3, "code": counting(folder)}, own_program)
    assert installation.finish(old).outcome == "failed"
    tool.write_text(tool.read_text() + "\n# mended")
    again = installation.finish(retry(installation, old))
    assert verdicts(installation, again, "split") == {0: "commit"}
    assert verdicts(installation, again, "work") == {0: "reused", 1: "fail", 2: "reused"}
    once_more = installation.finish(retry(installation, again))
    assert verdicts(installation, once_more, "split") == {0: "reused"}


def test_code_that_changes_while_a_step_runs_leaves_nothing_to_reuse(
    installation: Installation, tmp_path: Path
) -> None:
    tool = tmp_path / "work.py"

    def changes_itself(documents: Any) -> None:
        work = documents["work.cwl"]
        own = f"pathlib.Path({str(tool)!r}).open('a').write('#')\n"
        tool.write_text(work["arguments"][0]["valueFrom"].replace("exec(", own + "exec("))
        work["baseCommand"] = ["python", str(tool)]
        del work["arguments"]

    folder = tmp_path / "runs"
    code = counting(folder, others=1)
    old = submit(installation, {"count": 2, "code": code}, changes_itself)
    assert installation.finish(old).outcome == "failed"
    (folder / "fail").unlink()
    new = installation.finish(retry(installation, old))
    assert verdicts(installation, new, "work") == {0: "commit", 1: "commit"}


def test_what_is_no_longer_there_is_made_again(installation: Installation, tmp_path: Path) -> None:
    old = failed_chain(installation, tmp_path / "runs")
    (square,) = installation.workspace.job(old.id).glob("work/0/*/outputs/square-p0.txt")
    square.unlink()
    (square,) = installation.workspace.job(old.id).glob("work/2/*/outputs/square-p2.txt")
    square.chmod(0o600)
    square.write_text("cut off by a broken disk")
    new = installation.finish(retry(installation, old))
    assert verdicts(installation, new, "work") == {0: "commit", 1: "commit", 2: "commit"}
    assert new.results is not None
    assert installation.text(new.results["total"]) == "14"
    left = list(installation.workspace.job(new.id).glob("work/*/reused-*"))
    assert left == []


def test_folders_and_files_handed_through_are_taken_along(
    installation: Installation, tmp_path: Path
) -> None:
    made = """
import json, pathlib, sys
pathlib.Path("tree/sub").mkdir(parents=True)
pathlib.Path("tree/sub/a.txt").write_text("a")
given = {"class": "File", "path": sys.argv[1]}
tree = {"class": "Directory", "path": "tree"}
pathlib.Path("cwl.output.json").write_text(json.dumps({"tree": tree, "given": given}))
"""
    shown = """
import pathlib, sys
if not pathlib.Path(sys.argv[3]).exists(): raise SystemExit(65)
text = pathlib.Path(sys.argv[1], "sub", "a.txt").read_text() + pathlib.Path(sys.argv[2]).read_text()
pathlib.Path("text.txt").write_text(text)
"""
    types = {"tree": "Directory", "given": "File", "mark": "string"}
    bound = {
        name: {"type": type_, "inputBinding": {"position": n}}
        for n, (name, type_) in enumerate(types.items(), 1)
    }
    documents = {
        "made.cwl": {
            "cwlVersion": "v1.2", "class": "CommandLineTool", "id": "made",
            "baseCommand": ["python", "-c", made],
            "inputs": {"file": {"type": "File", "inputBinding": {"position": 1}}},
            "outputs": {"tree": {"type": "Directory"}, "given": {"type": "File"}},
        },
        "shown.cwl": {
            "cwlVersion": "v1.2", "class": "CommandLineTool", "id": "shown",
            "baseCommand": ["python", "-c", shown], "inputs": bound,
            "outputs": {"text": {"type": "File", "outputBinding": {"glob": "text.txt"}}},
        },
        "both.cwl": {
            "cwlVersion": "v1.2", "class": "Workflow", "id": "both",
            "inputs": {"file": "File", "mark": "string"},
            "outputs": {"text": {"type": "File", "outputSource": "shown/text"}},
            "steps": {
                "made": {"run": "made.cwl", "in": {"file": "file"}, "out": ["tree", "given"]},
                "shown": {"run": "shown.cwl", "out": ["text"], "in": {
                    "tree": "made/tree", "given": "made/given", "mark": "mark"}},
            },
        },
    }  # fmt: skip
    given = tmp_path / "given.txt"
    given.write_text("b")
    values = {
        "file": {"class": "File", "location": given.as_uri()},
        "mark": str(tmp_path / "mark"),
    }
    snapshot = {"path": "both.cwl", "documents": documents}
    old = installation.store.create_job(NewJob("both", "0", snapshot, {"values": values}))
    assert installation.finish(old).outcome == "failed"
    given.unlink()  # the retry has the same inputs all the same
    (tmp_path / "mark").touch()
    new = installation.finish(retry(installation, old))
    assert new.error is None
    assert verdicts(installation, new, "made") == {0: "reused"}
    remove(installation, old)
    (commit,) = [item for item in installation.store.attempts(new.id) if item.step == "made"]
    outputs = (commit.document or {})["outputs"]
    assert installation.text(outputs["tree"]["listing"][0]["listing"][0]) == "a"
    assert installation.text(outputs["given"]) == "b"
    assert new.results is not None
    assert installation.text(new.results["text"]) == "ab"


def test_a_release_is_always_made_anew(installation: Installation, tmp_path: Path) -> None:
    check = "import os, sys; open('ok.txt', 'w'); os.path.exists(sys.argv[2]) or sys.exit(65)"
    documents = {
        "publish.cwl": process_of("release").to_json()["documents"]["process.cwl"],
        "check.cwl": {
            "cwlVersion": "v1.2", "class": "CommandLineTool", "id": "check",
            "baseCommand": ["python", "-c", check],
            "inputs": {
                "release": {"type": "Directory", "inputBinding": {"position": 1}},
                "mark": {"type": "string", "inputBinding": {"position": 2}},
            },
            "outputs": {"ok": {"type": "File", "outputBinding": {"glob": "ok.txt"}}},
        },
        "process.cwl": {
            "cwlVersion": "v1.2", "class": "Workflow", "id": "release",
            "inputs": {"name": "string", "mark": "string",
                       "dataset": {"type": "string", "default": "demo"}},
            "outputs": {"release": {"type": "Directory", "outputSource": "publish/release"},
                        "ok": {"type": "File", "outputSource": "check/ok"}},
            "steps": {
                "publish": {"run": "publish.cwl", "in": {"name": "name"}, "out": ["release"]},
                "check": {"run": "check.cwl", "out": ["ok"],
                          "in": {"release": "publish/release", "mark": "mark"}},
            },
        },
    }  # fmt: skip
    values = {"name": "a", "mark": str(tmp_path / "mark")}
    snapshot = {"path": "process.cwl", "documents": documents}
    old = installation.store.create_job(NewJob("release", "0", snapshot, {"values": values}))
    assert installation.finish(old).outcome == "failed"
    (tmp_path / "mark").touch()
    new = installation.finish(retry(installation, old))
    assert new.error is None
    assert verdicts(installation, new, "publish") == {0: "commit"}
    assert [item.job for item in installation.store.releases("demo")] == [new.id, old.id]


@pytest.mark.every_store
def test_what_cannot_be_retried_is_said(installation: Installation, tmp_path: Path) -> None:
    with pytest.raises(NoSuchJob):
        retries.retry(installation.settings, installation.store, "0" * 32)
    good = installation.submit("chain", {"count": 1})
    with pytest.raises(NotRetryable, match="is accepted; it can be retried when it has failed"):
        retry(installation, good)
    installation.finish(good)
    with pytest.raises(NotRetryable, match="was successful"):
        retry(installation, good)
    bad = failed_chain(installation, tmp_path / "runs")
    first = retry(installation, bad)
    with pytest.raises(NotRetryable, match=f"already by job {first.id}"):
        retry(installation, bad)
    installation.store.request_dismiss(first.id)
    installation.finish(first)
    second = installation.finish(retry(installation, bad))
    assert retries_of(installation.store.database, bad.id) == [first.id, second.id]
    installation.store.remove(bad.id)
    with pytest.raises(JobGone, match="was dismissed; its files were removed"):
        retry(installation, bad)


@pytest.mark.parametrize("seed", range(6))
def test_a_controller_killed_in_the_middle_of_reuse(
    installation: Installation, tmp_path: Path, seed: int
) -> None:
    old = failed_chain(installation, tmp_path / "runs")
    new = retry(installation, old)
    moments = random.Random(seed)
    for point in ("attempt-copied", "any"):
        with controller(installation, f"kill:{point}:{moments.randrange(1, 4)}") as process:
            process.join(120)
            assert process.exitcode == -signal.SIGKILL
    with controller(installation):
        until_settled(installation, [new])
    ended = installation.store.job(new.id)
    assert ended.results is not None
    assert installation.text(ended.results["total"]) == "14"
    counted = [item for item in installation.store.attempts(new.id)
               if item.verdict in ("commit", "reused")]  # fmt: skip
    assert len({(item.step, item.index) for item in counted}) == len(counted) == 5
    kept = {path.parent.name for path in installation.workspace.job(new.id).glob("**/outputs")}
    assert kept == {item.attempt for item in counted}
    assert runs(tmp_path / "runs")["p0"] == runs(tmp_path / "runs")["p2"] == 1
