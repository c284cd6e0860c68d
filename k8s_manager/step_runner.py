"""Runs one index of a round: the one program between a backend and a stage, the same everywhere.

One file, standard library only, so that any image can contain it. It makes the attempt's folder,
links the inputs, runs the program in a process group of its own, keeps its output within bounds,
enforces the limits, checks and hashes what it made, and as its last act renames ``attempt.json``
into place. That file is the only word that counts: an attempt without it never happened.

    <folder of task-r<n>.json>[/<index>]/<attempt>/{inputs,outputs,progress.jsonl,stdout,stderr,
                                                    attempt.json}

Run as ``python -I step_runner.py --workspace W --task W/jobs/J/S/task-r1.json --index 0
--attempt ID``; in a pod index and attempt come from JOB_COMPLETION_INDEX and POD_UID.
Linux only: it relies on /proc, sub-reapers and parent-death signals.
"""

# /proc is read several times a second, and plain open() costs half of Path.open().
# ruff: noqa: PTH110, PTH119, PTH123, PTH207, PTH208

from __future__ import annotations

import argparse
import contextlib
import glob
import json
import math
import os
import re
import resource
import selectors
import signal
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:  # every step starts with these imports: typing costs 5 ms
    from collections.abc import Mapping
    from typing import Any

VERSION = 1
SAMPLE_S = 0.1
"""Seconds between looks at the memory in use: a program can fill about 200 MB in that time."""
GRACE_S = 2.0
"""Seconds between asking a program to stop and killing it."""
TAIL_BYTES = 16_384
"""Bytes of the end of a stream that are kept whatever its length: the error line stands there."""
RESERVE_BYTES = 65_536
"""Space held for ``attempt.json``, so that a full disk can still be reported."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_FIRST = os.getpid() == 1
"""Whether the runner is the first process of a container."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


class AttemptError(Exception):
    """The attempt fails for a reason that the runner found; `reason` is a word for the judge."""

    def __init__(self, reason: str, title: str, detail: str) -> None:
        super().__init__(f"{title}: {detail}")
        self.reason = reason
        self.title = title
        self.detail = detail


class Attempt:
    """What one run of the program was given and what became of it."""

    def __init__(self, workspace: Path, task_path: Path, position: int, name: str) -> None:
        self.workspace = workspace
        self.task: dict[str, Any] = json.loads(task_path.read_text(encoding="utf-8"))
        if self.task["version"] != VERSION:
            raise SystemExit(f"{task_path}: version {self.task['version']}, expected {VERSION}")
        self.entry: dict[str, Any] = self.task["indexes"][position]
        parent = task_path.parent
        if self.task.get("scattered"):
            parent = parent / str(self.entry["index"])
        self.folder = parent / name
        self.outputs = self.folder / "outputs"
        self.document: dict[str, Any] = {
            "version": VERSION,
            "job": self.task["job"],
            "step": self.task["step"],
            "index": self.entry["index"],
            "round": self.task["round"],
            "attempt": name,
            "exit_code": None,
            "signal": None,
            "reason": None,
            "started": _now(),
            "ended": None,
            "cpu_s": 0.0,
            "ram_peak_mb": 0.0,
            "image_digest": os.environ.get("CDI_IMAGE_DIGEST") or None,
            "outputs": {},
            "error": None,
        }

    def fail(self, reason: str | None, title: str, detail: str) -> None:
        """Record why the attempt did not succeed."""
        self.document["reason"] = reason
        self.document["error"] = {"title": _legible(title[:300]), "detail": _legible(detail[:4000])}


def main(argv: list[str] | None = None) -> int:
    """Run one attempt; the exit code is the program's, so that Kubernetes' own rules see it."""
    args = _arguments(argv)
    workspace, task = args.workspace.resolve(), args.task.resolve()
    if args.lock_fd is not None:
        os.set_inheritable(args.lock_fd, False)
        os.pwrite(args.lock_fd, f"{os.getpid()}\n".encode(), 0)
    attempt = Attempt(workspace, task, args.index, args.attempt)
    if args.lock_fd is None:
        attempt.folder.mkdir(parents=True, exist_ok=True)
    if (attempt.folder / "attempt.json").exists():
        return 0
    _reserve(attempt.folder / ".attempt.json.partial")
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        _prepare(attempt)
        program = Program(attempt)
        program.run()
        program.judge()
        if attempt.document["error"] is None:
            attempt.document["outputs"] = Collector(attempt).collect()
    except AttemptError as error:
        attempt.fail(error.reason, error.title, error.detail)
        attempt.document["outputs"] = {}
    except OSError as error:
        attempt.fail("io", "the step's files cannot be handled", str(error))
        attempt.document["outputs"] = {}
    except RecursionError:
        attempt.fail("outputs", "the program's words are not valid", "they are nested too deeply")
        attempt.document["outputs"] = {}
    _remove(attempt.folder / "tmp")
    _finish(attempt)
    return exit_code(attempt.document)


class Log:
    """A stream of the program kept in a file of limited size: its beginning and its end."""

    def __init__(self, path: Path, limit: int) -> None:
        self._file = path.open("wb", buffering=0)
        self._room = max(0, limit - 2 * TAIL_BYTES)
        self._tail_room = TAIL_BYTES if limit >= 4 * TAIL_BYTES else 0
        if not self._tail_room:
            self._room = limit
        self._overflow = bytearray()
        self._dropped = 0
        self.tail = bytearray()
        """The last `TAIL_BYTES` of everything."""

    def write(self, data: bytes) -> None:
        """Keep as much of `data` as there is room for; a full disk loses the log, not the run."""
        self.tail = (self.tail + data)[-TAIL_BYTES:]
        head = data[: self._room]
        try:
            self._file.write(head)
        except OSError:
            head = b""
            self._room = 0
        self._room -= len(head)
        self._overflow += data[len(head) :]
        excess = len(self._overflow) - self._tail_room
        if excess > 0:
            self._dropped += excess
            del self._overflow[:excess]

    def close(self) -> None:
        """Write the end of the stream behind a note of how much is missing."""
        note = f"\n[{self._dropped} bytes left out]\n".encode() if self._dropped else b""
        with contextlib.suppress(OSError):  # a full disk: the log's beginning is what remains
            self._file.write(note + self._overflow)
        self._file.close()


class Program:
    """The stage program while it runs: its process, streams, limits and descendants."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        task = attempt.task
        self._time_limit = float(task.get("time_limit_s") or 0)
        self._ram_limit = int(task.get("ram_mb") or 0) * 1024 * 1024
        limit = int(task.get("log_limit_bytes") or 10_000_000)
        self._logs = [Log(attempt.folder / name, limit) for name in ("stdout", "stderr")]
        self._status: int | None = None
        self._stopped: str | None = None
        self._kill_at = float("inf")
        self._peak = 0
        self._oom_kills = _oom_kills()
        self._cancelled = False

    def run(self) -> None:
        """Start the program and stay with it until it and all that it started are gone."""
        self._selector = selectors.DefaultSelector()
        self._listen_for_signals()
        self._started = time.monotonic()
        self._start()
        while self._status is None:
            self._pump(SAMPLE_S)
            self._reap()
            self._watch()
        self._kill_rest()
        deadline = time.monotonic() + GRACE_S
        while self._streams_open() and time.monotonic() < deadline:
            self._pump(0.05)
        for log in self._logs:
            log.close()
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.attempt.document["cpu_s"] = round(usage.ru_utime + usage.ru_stime, 3)
        peak = max(self._peak, usage.ru_maxrss * 1024)
        self.attempt.document["ram_peak_mb"] = round(peak / 1024 / 1024, 1)

    def judge(self) -> None:
        """Write down how the program ended."""
        document, status = self.attempt.document, self._status or 0
        if os.WIFSIGNALED(status):
            document["signal"] = os.WTERMSIG(status)
        else:
            document["exit_code"] = os.WEXITSTATUS(status)
        if self._stopped is None and document["signal"] == signal.SIGKILL:
            before, self._oom_kills = self._oom_kills, _oom_kills()
            if self._oom_kills > before:
                self._stopped = "memory"
        if self._stopped is not None:
            self.attempt.fail(self._stopped, *self._why_stopped(self._stopped))
        elif document["exit_code"] != 0:
            self.attempt.fail(None, *self._own_words())

    def _start(self) -> None:
        attempt, entry = self.attempt, self.attempt.entry
        stdout: Any = subprocess.PIPE
        if entry.get("stdout"):
            stdout = (attempt.outputs / entry["stdout"]).open("wb")
        runner = os.getpid()

        def in_child() -> None:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != runner:
                os._exit(1)
            with contextlib.suppress(OSError):  # so that the kernel picks the program, not others
                Path("/proc/self/oom_score_adj").write_text("500")

        try:
            self._process = subprocess.Popen(
                entry["argv"],
                cwd=attempt.outputs,
                env=_environment(attempt),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                process_group=0,
                preexec_fn=in_child,  # noqa: PLW1509  the runner has one thread
            )
        except OSError as error:
            raise AttemptError(
                "not-started",
                "the program cannot be started",
                f"{entry['argv'][0]}: {error.strerror}",
            ) from error
        finally:
            if stdout is not subprocess.PIPE:
                stdout.close()
        for stream, log in zip(
            (self._process.stdout, self._process.stderr), self._logs, strict=True
        ):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self._selector.register(stream, selectors.EVENT_READ, log)

    def _listen_for_signals(self) -> None:
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

        def cancel(_number: int, _frame: object) -> None:
            self._cancelled = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, cancel)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self._selector.register(self._wake, selectors.EVENT_READ, None)

    def _pump(self, timeout: float) -> None:
        for key, _events in self._selector.select(timeout):
            if key.data is None:
                os.read(self._wake, 4096)
                continue
            data = os.read(key.fd, 262_144)
            if data:
                key.data.write(data)
            else:
                self._selector.unregister(key.fileobj)

    def _streams_open(self) -> bool:
        return len(self._selector.get_map()) > 1

    def _reap(self) -> None:
        while True:
            try:
                pid, status, _usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._process.pid:
                self._status = status
                self._process.returncode = os.waitstatus_to_exitcode(status)

    def _watch(self) -> None:
        if self._status is not None:
            return
        now = time.monotonic()
        if now >= self._kill_at:
            self._kill(signal.SIGKILL)
        used = self._memory()
        self._peak = max(self._peak, used)
        if self._stopped is not None:
            return
        if self._cancelled:
            self._stop("cancelled", signal.SIGTERM)
        elif self._ram_limit and used > self._ram_limit and self._exact_memory() > self._ram_limit:
            self._stop("memory", signal.SIGKILL)
        elif self._time_limit and now - self._started > self._time_limit:
            self._stop("time-limit", signal.SIGTERM)

    def _stop(self, reason: str, number: int) -> None:
        self._stopped = reason
        self._kill_at = time.monotonic() + GRACE_S
        self._kill(number)

    def _kill(self, number: int) -> None:
        """Signal the program's group and, for SIGKILL, whatever has left the group."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, number)
        if number == signal.SIGKILL:
            for pid in descendants(os.getpid()):
                _signal(pid, number)

    def _kill_rest(self) -> None:
        """Kill and reap what the program left running; being sub-reaper, we are its parent."""
        while remaining := descendants(os.getpid()):
            for pid in remaining:
                _signal(pid, signal.SIGKILL)
            self._reap()
            if descendants(os.getpid()):
                time.sleep(0.005)
        self._reap()

    def _memory(self) -> int:
        return sum(_resident(pid) for pid in descendants(os.getpid()))

    def _exact_memory(self) -> int:
        """Memory that cannot be dropped, shared pages counted once; dearer than `_memory`."""
        return sum(_proportional(pid) for pid in descendants(os.getpid()))

    def _why_stopped(self, reason: str) -> tuple[str, str]:
        task = self.attempt.task
        if reason == "time-limit":
            return "time limit exceeded", f"stopped after {task['time_limit_s']} s"
        if reason == "memory":
            return "memory limit exceeded", f"stopped when it used more than {task['ram_mb']} MiB"
        return "cancelled", "stopped on request"

    def _own_words(self) -> tuple[str, str]:
        """Return title and detail of the last JSON error line on stderr, or the last line."""
        lines = bytes(self._logs[1].tail).decode("utf-8", "replace").splitlines()
        for line in reversed(lines):
            if line.startswith("{"):
                try:
                    found = json.loads(line)
                except ValueError:
                    continue
                if isinstance(found, dict) and isinstance(found.get("title"), str):
                    return found["title"], str(found.get("detail") or "")
        document = self.attempt.document
        title = f"the program ended with exit code {document['exit_code']}"
        if document["signal"] is not None:
            title = f"the program was ended by signal {document['signal']}"
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return title, last[:500]


class Collector:
    """Finds the declared outputs, proves that they are plain files of this attempt, hashes them."""

    def __init__(self, attempt: Attempt) -> None:
        self._root = attempt.outputs.resolve()
        self._attempt = attempt
        self._inputs = attempt.folder.resolve() / "inputs"
        self._in_place = [Path(os.path.realpath(root)) for root in attempt.task.get("in_place", [])]

    def collect(self) -> dict[str, Any]:
        """Return output id -> CWL value.

        Raises:
            AttemptError: An output is missing or not what was declared.
        """
        declared = self._attempt.entry["outputs"]
        listed = self._root / "cwl.output.json"
        if listed.is_symlink() or not listed.exists():
            return {name: self._found(name, spec) for name, spec in declared.items()}
        try:
            document = json.loads(listed.read_bytes())
        except ValueError as error:
            raise _invalid("cwl.output.json", "valid JSON", str(error)) from error
        if not isinstance(document, dict):
            raise _invalid("cwl.output.json", "a JSON object", type(document).__name__)
        return {
            name: self.checked(name, spec["type"], document.get(name))
            for name, spec in declared.items()
        }

    def _found(self, name: str, spec: dict[str, Any]) -> Any:
        type_, optional = _plain(spec["type"])
        paths: list[str] = []
        for pattern in spec.get("glob") or []:
            if pattern.startswith("/") or ".." in pattern.split("/"):
                raise _invalid(name, "a pattern within the working folder", repr(pattern))
            paths += sorted(glob.glob(pattern, root_dir=self._root))
        values = [{"path": path} for path in paths]
        if isinstance(type_, dict) and type_.get("type") == "array":
            item, _ = _plain(type_["items"])
            return [self.checked(name, item, {"class": item, **value}) for value in values]
        if not values and optional:
            return None
        shown = ", ".join(spec.get("glob") or []) or "cwl.output.json"
        if not values:
            raise AttemptError(
                "outputs", "an output is missing", f"output {name}: nothing was written as {shown}"
            )
        if len(values) > 1:
            raise _invalid(name, f"one file as {shown}", f"{len(values)} files")
        return self.checked(name, type_, {"class": type_, **values[0]})

    def checked(self, where: str, given_type: Any, value: Any) -> Any:
        """Return `value` as a CWL value of the type, with checksums.

        Raises:
            AttemptError: It is not of that type.
        """
        type_, optional = _plain(given_type)
        if value is None:
            if optional or type_ == "null":
                return None
            raise AttemptError("outputs", "an output is missing", f"output {where} is null")
        if type_ in ("File", "Directory"):
            return self._file_or_directory(where, type_, value)
        if isinstance(type_, list):
            return self._one_of(where, type_, value)
        if isinstance(type_, dict):
            return self._compound(where, type_, value)
        if not _is_primitive(type_, value):
            raise _invalid(where, str(type_), repr(value)[:100])
        return value

    def _one_of(self, where: str, types: list[Any], value: Any) -> Any:
        problem: AttemptError | None = None
        for type_ in types:
            try:
                return self.checked(where, type_, value)
            except AttemptError as error:
                problem = error
        raise problem or _invalid(where, "one of its types", repr(value)[:100])

    def _compound(self, where: str, type_: dict[str, Any], value: Any) -> Any:
        kind = type_["type"]
        if kind == "array" and isinstance(value, list):
            items = type_["items"]
            return [self.checked(f"{where}[{i}]", items, item) for i, item in enumerate(value)]
        if kind == "enum" and value in type_["symbols"]:
            return value
        if kind == "record" and isinstance(value, dict):
            fields = {field["name"]: field["type"] for field in type_["fields"]}
            checked = {
                name: self.checked(f"{where}.{name}", field, value.get(name))
                for name, field in fields.items()
            }
            for name in value.keys() - fields.keys():
                _refuse_files(f"{where}.{name}", value[name])
            return {**value, **checked}
        raise _invalid(where, f"{kind} as declared", repr(value)[:100])

    def _file_or_directory(self, where: str, class_: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or value.get("class") != class_:
            raise _invalid(where, class_, repr(value)[:100])
        location = str(value.get("location") or value.get("path") or "")
        basename = str(value.get("basename") or os.path.basename(location.rstrip("/")))
        if basename in ("", ".", "..") or "/" in basename or not _is_text(basename):
            raise _invalid(where, "a plain basename", repr(basename))
        if match := re.fullmatch(r"cache:sha256/([0-9a-f]{64})", location):
            return self._cached(where, match.group(1), basename)
        path = Path(location.removeprefix("file://")) if location else Path("\0")
        plain = Path(os.path.normpath(self._root / path))
        if plain.is_relative_to(self._inputs):
            return self._passed_through(where, plain, class_, basename)
        if location.startswith("file://") and not plain.is_relative_to(self._root):
            return self._read_in_place(where, plain, basename)
        return self._own(where, plain, class_, basename)

    def _own(self, where: str, path: Path, class_: str, basename: str) -> dict[str, Any]:
        """Describe what lies in the attempt's own folder."""
        real = Path(os.path.realpath(path))
        if not path.is_relative_to(self._root) or not real.is_relative_to(self._root):
            raise _invalid(where, "a file in the working folder", f"{path.name} outside of it")
        return self._described(where, real, class_, basename)

    def _described(self, where: str, path: Path, class_: str, basename: str) -> dict[str, Any]:
        try:
            mode = path.lstat().st_mode
        except OSError as error:
            raise AttemptError(
                "outputs", "an output is missing", f"output {where}: {path.name}: {error.strerror}"
            ) from error
        relative = path.relative_to(self._attempt.workspace)
        if not _is_text(str(relative)):
            raise _invalid(where, "a file name in UTF-8", repr(path.name))
        described = {
            "class": class_,
            "location": f"workspace:{relative}",
            "basename": basename,
        }
        if class_ == "File" and stat.S_ISREG(mode):
            checksum, size = _hashed(path)
            return {**described, "checksum": checksum, "size": size}
        if class_ == "Directory" and stat.S_ISDIR(mode):
            listing = [
                self._described(
                    where,
                    entry,
                    "Directory" if entry.is_dir() and not entry.is_symlink() else "File",
                    entry.name,
                )
                for entry in sorted(path.iterdir())
            ]
            return {**described, "listing": listing}
        kind = "a link" if stat.S_ISLNK(mode) else "something else"
        expected = "a plain file" if class_ == "File" else "a folder"
        raise _invalid(where, expected, f"{path.name}, which is {kind}")

    def _cached(self, where: str, digest: str, basename: str) -> dict[str, Any]:
        path = self._attempt.workspace / "cache" / "sha256" / digest[:2] / digest
        try:
            size = path.stat().st_size
        except OSError as error:
            raise _invalid(where, "a file that is in the cache", f"sha256/{digest}") from error
        return {
            "class": "File",
            "location": f"cache:sha256/{digest}",
            "basename": basename,
            "checksum": f"sha256${digest}",
            "size": size,
        }

    def _read_in_place(self, where: str, path: Path, basename: str) -> dict[str, Any]:
        real = Path(os.path.realpath(path))
        if not any(real.is_relative_to(root) for root in self._in_place) or not real.is_file():
            raise _invalid(where, "a file of a source that is read in place", str(path))
        status = real.stat()
        return {
            "class": "File",
            "location": f"file://{path}",
            "basename": basename,
            "checksum": f"size-mtime${status.st_size}-{status.st_mtime_ns}",
            "size": status.st_size,
        }

    def _passed_through(self, where: str, path: Path, class_: str, basename: str) -> dict[str, Any]:
        """Describe an input that the program names as its output."""
        parts = path.relative_to(self._inputs).parts
        given = self._attempt.entry["inputs"]
        if len(parts) < 2 or not parts[0].isdecimal() or int(parts[0]) >= len(given):
            raise _invalid(where, "one of the inputs", "/".join(parts))
        source = Path(given[int(parts[0])]["path"], *parts[2:])
        real = self._attempt.workspace / source
        if source.is_absolute():
            status = real.stat()
            return {
                "class": class_,
                "location": f"file://{source}",
                "basename": basename,
                "checksum": f"size-mtime${status.st_size}-{status.st_mtime_ns}",
                "size": status.st_size,
            }
        if source.parts[0] == "cache":
            return self._cached(where, source.name, basename)
        return self._described(where, real, class_, basename)


def descendants(root: int) -> list[int]:
    """Return the ids of all processes below `root`, zombies left out."""
    parents = _children_by_parent() if not _has_children_files() else None
    found, open_ = [], [root]
    while open_:
        parent = open_.pop()
        children = _children(parent) if parents is None else parents.get(parent, [])
        open_ += children
        found += children
    return [pid for pid in found if _state(pid) not in ("Z", "X", "")]


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run one index of a round.")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--task", type=Path, required=True)
    parser.add_argument("--index", type=int, default=os.environ.get("JOB_COMPLETION_INDEX", "0"))
    parser.add_argument("--attempt", default=os.environ.get("POD_UID"))
    parser.add_argument("--lock-fd", type=int, help="descriptor of a lock held while this lives")
    args = parser.parse_args(argv)
    if not args.attempt or not re.fullmatch(r"[A-Za-z0-9-]{1,80}", args.attempt):
        parser.error("--attempt (or POD_UID) must be 1 to 80 letters, digits and hyphens")
    return args


def _prepare(attempt: Attempt) -> None:
    """Make the attempt's folders and link its inputs.

    Raises:
        AttemptError: An input is not there.
    """
    for name in ("inputs", "outputs", "tmp"):
        (attempt.folder / name).mkdir(exist_ok=True)
    links = []
    for number, given in enumerate(attempt.entry["inputs"]):
        target = attempt.workspace / given["path"]
        if not target.exists():
            raise AttemptError("inputs", "an input file is gone", str(given["path"]))
        link = attempt.folder / "inputs" / str(number) / given["basename"]
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(target)
        links.append(link)
    for number, basename in attempt.entry.get("staged") or []:
        staged = attempt.outputs / basename
        if staged.is_symlink():
            raise AttemptError("inputs", "two inputs have the same name", basename)
        staged.symlink_to(links[number])


def _environment(attempt: Attempt) -> dict[str, str]:
    """Return what the program sees: the image's own variables and those of the contract."""
    private = ("JOB_COMPLETION_INDEX", "POD_UID", "CDI_IMAGE_DIGEST")
    environment = {name: value for name, value in os.environ.items() if name not in private}
    tmp = str(attempt.folder / "tmp")
    environment |= {
        "HOME": tmp,
        "TMPDIR": tmp,
        **attempt.entry.get("env", {}),
        "PYTHONSAFEPATH": "1",
        "CDI_PROGRESS": str(attempt.folder / "progress.jsonl"),
    }
    environment.pop("CDI_CACHE", None)
    if attempt.task.get("network"):
        environment["CDI_CACHE"] = str(attempt.workspace / "cache")
    return environment


def _reserve(path: Path) -> None:
    with path.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, RESERVE_BYTES)


def _remove(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        import shutil  # 4 ms, seldom needed

        shutil.rmtree(folder, ignore_errors=True)


def _finish(attempt: Attempt) -> None:
    """Put ``attempt.json`` into place, complete and on disk."""
    attempt.document["ended"] = _now()
    partial = attempt.folder / ".attempt.json.partial"
    data = json.dumps(attempt.document).encode()
    try:
        _overwrite(partial, data)
    except OSError as error:
        attempt.fail("io", "the outputs cannot be recorded", str(error))
        attempt.document["outputs"] = {}
        _overwrite(partial, json.dumps(attempt.document).encode())
    partial.rename(attempt.folder / "attempt.json")
    _sync(attempt.folder)


def _overwrite(path: Path, data: bytes) -> None:
    with path.open("r+b") as stream:
        stream.write(data)
        stream.flush()
        stream.truncate(len(data))
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exit_code(document: Mapping[str, Any]) -> int:
    """Return the code that the runner ends with: what Kubernetes knows of an attempt."""
    if document["error"] is None:
        return 0
    if document["reason"] == "cancelled":
        return 128 + signal.SIGTERM
    if document["reason"] == "memory":
        return 128 + signal.SIGKILL
    if document["signal"]:
        return 128 + int(document["signal"])
    return int(document["exit_code"] or 0) or 65


def _hashed(path: Path) -> tuple[str, int]:
    """Return checksum and size, with the content flushed to disk: it will never change again.

    Write permission is taken away: a later step that opens its input for writing must fail.
    """
    import hashlib  # brings OpenSSL: not before the program has started

    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if status.st_nlink == 1:  # another name of the file may be somebody else's
            with contextlib.suppress(PermissionError):
                os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & ~0o222)
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        os.fsync(descriptor)
        return f"sha256${digest}", os.fstat(descriptor).st_size


def _plain(type_: Any) -> tuple[Any, bool]:
    """Return a type without null, and whether null was allowed."""
    if not isinstance(type_, list):
        return type_, False
    rest = [item for item in type_ if item != "null"]
    return (rest[0] if len(rest) == 1 else rest), len(rest) < len(type_)


def _is_primitive(type_: Any, value: Any) -> bool:
    if type_ == "boolean":
        return isinstance(value, bool)
    if type_ in ("int", "long"):
        return isinstance(value, int) and not isinstance(value, bool)
    if type_ in ("float", "double"):
        if isinstance(value, float):
            return math.isfinite(value)  # JSON has no other numbers
        return isinstance(value, int) and not isinstance(value, bool)
    return type_ == "string" and isinstance(value, str) and _is_text(value)


def _is_text(value: str) -> bool:
    """Tell whether every database can hold the text: UTF-8 without NUL."""
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


def _legible(words: str) -> str:
    """Return a program's words with what cannot be shown or stored replaced."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in words)


def _refuse_files(where: str, value: Any) -> None:
    """Refuse files, which nobody has checked, and what is no JSON, in an undeclared field."""
    if isinstance(value, dict):
        if value.get("class") in ("File", "Directory"):
            raise _invalid(where, "no file in an undeclared field", str(value["class"]))
        for name, item in value.items():
            _refuse_files(f"{where}.{name}", name)
            _refuse_files(f"{where}.{name}", item)
    elif isinstance(value, list):
        for item in value:
            _refuse_files(where, item)
    elif value is not None and not any(
        _is_primitive(type_, value) for type_ in ("boolean", "double", "string")
    ):
        raise _invalid(where, "a finite number or text in UTF-8", repr(value)[:100])


def _invalid(where: str, expected: str, got: str) -> AttemptError:
    return AttemptError(
        "outputs", "an output is not valid", f"output {where}: expected {expected}, got {got}"
    )


def _prctl(option: int, value: int) -> None:
    """Tie descendants to the runner; a container ties them to its first process anyway."""
    if _FIRST:
        return
    import ctypes  # 5 ms

    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _has_children_files() -> bool:
    return os.path.exists("/proc/self/task/self/children") or os.path.exists(
        f"/proc/{os.getpid()}/task/{os.getpid()}/children"
    )


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as stream:
                found += [int(word) for word in stream.read().split()]
    except OSError:
        pass  # it ended meanwhile; its children are ours now and found there
    return found


def _children_by_parent() -> dict[int, list[int]]:
    """Read the whole process table: for kernels without per-process lists of children."""
    found: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and (fields := _stat(int(entry))):
            found.setdefault(int(fields[1]), []).append(int(entry))
    return found


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the state on; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()
    except OSError:
        return []


def _state(pid: int) -> str:
    return (_stat(pid) or [""])[0]


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as stream:
            return int(stream.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    """Return the process's own part of its anonymous and shared memory, in bytes."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as stream:
            lines = dict(line.split(":", 1) for line in stream.read().splitlines()[1:])
        return sum(int(lines[key].split()[0]) for key in ("Pss_Anon", "Pss_Shmem")) * 1024
    except (OSError, KeyError, ValueError):
        return _resident(pid)


def _oom_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory since it started."""
    try:
        with open("/proc/vmstat") as stream:
            return next(
                (int(line.split()[1]) for line in stream if line.startswith("oom_kill ")), 0
            )
    except OSError:
        return 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def run() -> None:
    """Run `main` and end this process at once: ``attempt.json`` was the last act."""
    code = main()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
