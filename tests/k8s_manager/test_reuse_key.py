"""What makes two runs of a step the same: command, content of inputs, wanted outputs, code."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from k8s_manager.backends.job_manifest import digest_of
from k8s_manager.backends.local_code import local_code
from k8s_manager.cwl import Process
from k8s_manager.kubernetes_settings import KubernetesSettings
from k8s_manager.reuse_key import reuse_key
from tests.k8s_manager.installation import process_of

DIGEST = "a" * 64


def file(location: str = "workspace:jobs/a/x.txt", **changes: Any) -> dict[str, Any]:
    given = {"class": "File", "location": location, "basename": "x.txt", "size": 1}
    return {**given, "checksum": f"sha256${DIGEST}", **changes}


def key(process: Process | None = None, code: str | None = "code", **values: Any) -> str | None:
    given = {"code": "pass", "file": file(), **values}
    return reuse_key(process or process_of("python"), given, code)


def test_it_does_not_matter_where_a_file_lies() -> None:
    assert key() == key(file=file("workspace:jobs/b/y.txt"))
    cached = file(f"cache:sha256/{DIGEST}")
    del cached["checksum"]
    assert key() == key(file=cached)
    assert len(key() or "") == 64


def test_everything_else_does() -> None:
    others = [
        key(code="other"),
        key(file=file(checksum="sha256$" + "b" * 64)),
        key(file=file(basename="z.txt")),
        key(file=None),
        reuse_key(process_of("python"), {"code": "0", "file": file()}, "code"),
    ]
    assert None not in others
    assert len({key(), *others}) == 6


def test_a_folder_counts_by_all_that_is_in_it() -> None:
    process = process_of("python")
    declared = process.inputs["file"]
    folder_type = dataclasses.replace(declared, type=process_of("release").inputs["previous"].type)
    process = dataclasses.replace(process, inputs={**process.inputs, "file": folder_type})

    def folder(*entries: dict[str, Any]) -> dict[str, Any]:
        place = {"class": "Directory", "location": "workspace:jobs/a/d", "basename": "d"}
        return {**place, "listing": list(entries)}

    one, other = file(), file(basename="y.txt")
    assert key(process, file=folder(one, other)) == key(process, file=folder(other, one))
    assert key(process, file=folder(one)) != key(process, file=folder(one, other))
    assert key(process, file=folder(folder(one))) != key(process, file=folder(one))
    unknown = folder()
    del unknown["listing"]
    assert key(process, file=unknown) is None


def test_files_read_in_place_are_told_apart_by_their_address() -> None:
    version = "size-mtime$1-1700000000000000000"
    one = key(file=file("file:///data/2021/x.txt", checksum=version))
    assert one is not None
    assert one != key(file=file("file:///data/2022/x.txt", checksum=version))


def test_a_default_file_counts_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    given = {"class": "File", "location": path.as_uri(), "basename": "x.txt"}
    assert key(file=given) is None  # not there
    path.write_text("1")
    one = key(file=given)
    path.write_text("2")
    assert None not in (one, key(file=given))
    assert one != key(file=given)


def test_what_is_not_known_or_not_allowed_has_no_key() -> None:
    unknown = file()
    del unknown["checksum"]
    assert key(file=unknown) is None
    assert reuse_key(process_of("python"), {"code": "pass", "file": file()}, None) is None
    process = process_of("python")
    assert process.tool is not None
    forbids = dataclasses.replace(process, tool=dataclasses.replace(process.tool, reuse=False))
    assert key(forbids) is None
    assert reuse_key(process_of("chain"), {}, "code") is None


def test_local_code_follows_the_files_that_a_command_names(tmp_path: Path) -> None:
    script = tmp_path / "tool.py"
    script.write_text("1")
    words = ("python", str(script))
    before = local_code(words)
    assert local_code(words) == before
    assert local_code(("python", "-c")) != before
    script.write_text("22")
    assert local_code(words) != before
    assert local_code(("no-such-program-anywhere",)) != before


def test_in_a_cluster_the_digest_is_the_code() -> None:
    mapped = KubernetesSettings(images={"cdi/stage:1": f"registry/stage@sha256:{DIGEST}"})
    assert digest_of("cdi/stage:1", mapped) == DIGEST
    assert digest_of(f"other@sha256:{DIGEST}", mapped) == DIGEST
    assert digest_of("cdi/stage:2", mapped) is None
    assert digest_of(None, mapped) is None
