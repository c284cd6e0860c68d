"""The same promises on PostgreSQL: a private server, started by the test and ended after it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import update

from k8s_manager import schema
from k8s_manager.errors import LeaseLost
from k8s_manager.input_cache import needed
from k8s_manager.lease import Lease
from k8s_manager.ledger import Ledger
from k8s_manager.records import JobFilter
from k8s_manager.retry import retry, reused_steps
from tests.k8s_manager.installation import Installation
from tests.k8s_manager.test_retention import tidy


def _binaries() -> Path | None:
    found = shutil.which("initdb") or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None
    )
    return Path(found).parent if found else None


def _as_ordinary_user() -> list[str]:
    """Return what to put before a command: PostgreSQL refuses to be run by root."""
    if os.getuid() != 0:
        return []
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server on this machine (initdb not found)")
    if os.getuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL does not run as root and setpriv is not there")
    folder = Path(f"/tmp/cdi-postgresql-{os.getpid()}")  # socket paths must be short
    folder.mkdir(mode=0o700)
    if os.getuid() == 0:
        os.chown(folder, 65534, 65534)
    user, data = _as_ordinary_user(), folder / "data"
    control = [*user, str(binaries / "pg_ctl"), "-D", str(data), "-w"]
    options = f"-c listen_addresses='' -k {folder}"
    try:
        subprocess.run(
            [*user, str(binaries / "initdb"), "-D", str(data), "-U", "cdi", "-A", "trust",
             "--no-sync"], check=True, capture_output=True, cwd=folder,
        )  # fmt: skip
        subprocess.run(
            [*control, "-l", str(folder / "log"), "-o", options, "start"],
            check=True, capture_output=True, cwd=folder,
        )  # fmt: skip
        yield f"postgresql://cdi@/postgres?host={folder}"
        subprocess.run([*control, "-m", "fast", "stop"], check=True, capture_output=True)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def on_postgresql(server: str, tmp_path: Path) -> Iterator[Installation]:
    made = Installation.at(tmp_path / "home", database_url=server)
    yield made
    with made.store.database.write() as connection:
        schema.metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
    made.store.close()


def test_the_migrations_make_the_declared_tables(on_postgresql: Installation) -> None:
    on_postgresql.store.migrate()
    with on_postgresql.store.database.read() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata) == []


def test_a_chain_and_two_releases(on_postgresql: Installation) -> None:
    job = on_postgresql.run("chain", {"count": 3})
    assert job.results is not None
    assert on_postgresql.text(job.results["total"]) == "14"
    for name in ("a", "b"):
        assert on_postgresql.run("release", {"name": name}).outcome == "successful"
    store = on_postgresql.store
    assert [item.version for item in store.releases("demo")] == ["000002", "000001"]
    assert store.rollback("demo", "000001").version == "000001"
    assert store.generation() == 3
    assert store.jobs(JobFilter(statuses=("successful",), min_duration_s=0)).matched == 3
    assert store.counts()["successful"] == 3


def test_a_retry_takes_over_what_is_done_and_old_files_go(
    on_postgresql: Installation, tmp_path: Path
) -> None:
    code = f"if part == 'p1' and not pathlib.Path({str(tmp_path / 'm')!r}).exists(): exit(65)"
    old = on_postgresql.run("chain", {"count": 2, "code": code})
    (tmp_path / "m").touch()
    new = on_postgresql.finish(retry(on_postgresql.settings, on_postgresql.store, old.id))
    assert new.results is not None
    assert on_postgresql.text(new.results["total"]) == "5"
    reused = reused_steps(on_postgresql.store.database, new.id)
    assert "split" in {step.step for step in reused}
    assert needed(on_postgresql.store.database).digests == frozenset()
    for name in ("a", "b"):
        on_postgresql.run("release", {"name": name})
    with on_postgresql.store.database.write() as connection:
        connection.execute(update(schema.jobs).values(finished=1.0))
    tidy(on_postgresql, keep_releases=1)
    assert [item.version for item in on_postgresql.store.releases("demo")] == ["000002"]
    assert on_postgresql.store.job(old.id).files_expired is not None
    tidy(on_postgresql, keep_records_days=1.0)
    assert on_postgresql.store.jobs().matched == 0


def test_a_stale_controller_can_write_nothing(on_postgresql: Installation) -> None:
    job = on_postgresql.submit("python", {"code": "pass"})
    database = on_postgresql.store.database
    first, second = Lease(database, 0.0), Lease(database, 10.0)
    assert first.acquire()
    assert second.acquire()
    with pytest.raises(LeaseLost):
        Ledger(database, first).finish(job.id, "failed", "x")
    assert on_postgresql.store.job(job.id) == job
    assert Ledger(database, second).finish(job.id, "failed", "x")
