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
from prometheus_client import generate_latest

from k8s_manager import queue, schema
from k8s_manager.errors import LeaseLost
from k8s_manager.lease import Lease
from k8s_manager.ledger import Ledger
from k8s_manager.records import JobFilter, NewJob
from k8s_manager.store_metrics import registry_of
from tests.k8s_manager.installation import Installation


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


def test_the_queue_and_the_numbers_are_the_same(on_postgresql: Installation) -> None:
    store = on_postgresql.store
    registry = registry_of(store.database)
    on_postgresql.run("chain", {"count": 2})
    on_postgresql.run("python", {"code": "import sys; sys.exit(65)"})
    ids = [store.create_job(NewJob("p", "1", {}, {}, owner=owner)).id for owner in "aab"]
    with store.database.read() as connection:
        assert queue.next_jobs(connection, 3) == [ids[0], ids[2], ids[1]]
        assert queue.queue_position(connection, ids[1]) == queue.Place(3, 3)
    for text in (generate_latest(registry), generate_latest(registry_of(store.database))):
        lines = text.decode().splitlines()
        assert 'cdi_jobs{status="accepted"} 3.0' in lines
        assert "cdi_queue_jobs 3.0" in lines
        assert 'cdi_step_duration_seconds_count{process="chain",step="work"} 1.0' in lines
        ended = [line for line in lines if line.startswith("cdi_attempts_total")]
        assert len(ended) == 4
        labels = '{process="python",reason="exit-65",step="python",verdict="fail"}'
        assert f"cdi_attempts_total{labels} 1.0" in ended
