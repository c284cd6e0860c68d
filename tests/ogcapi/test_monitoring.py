"""Probes and numbers for those who watch over the server."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from k8s_manager.settings import Settings
from k8s_manager.store import Store
from ogcapi.app import create_app
from tests.serving import Server

ROOT = Path(__file__).parents[2]


def counted(server: Server, name: str, **labels: str) -> float:
    text = server.get("/metrics").text
    samples = (
        sample for family in text_string_to_metric_families(text) for sample in family.samples
    )
    return sum(
        sample.value
        for sample in samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_every_worker_counts_the_same_jobs_steps_and_failures(server: Server) -> None:
    def failed() -> float:
        return counted(server, "cdi_attempts_total", process="greet", reason="exit-65")

    def unfinished() -> int:
        return len(server.get("/jobs?status=accepted,running").json()["jobs"])

    until = time.monotonic() + 120  # what earlier tests have begun counts, too
    while unfinished():
        assert time.monotonic() < until
        time.sleep(0.1)
    before = failed()
    done = counted(server, "cdi_step_duration_seconds_count", process="greet")
    answer = server.post(
        "/processes/greet/execution",
        {"inputs": {"name": "nobody"}},
        headers={"Prefer": "respond-async"},
    )
    server.finish(answer.json()["jobID"])
    for _ in range(10):
        assert failed() == before + 1
        assert counted(server, "cdi_step_duration_seconds_count", process="greet") == done + 1
    listed = len(server.get("/jobs?limit=1000").json()["jobs"])
    assert counted(server, "cdi_jobs") == listed


def test_metrics_come_in_the_format_that_is_asked_for(server: Server) -> None:
    assert server.get("/metrics").headers["Content-Type"].startswith("text/plain; version=")
    wanted = {"Accept": "application/openmetrics-text;version=1.0.0"}
    answer = server.get("/metrics", headers=wanted)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For", "Via"])
def test_metrics_are_not_for_those_whom_a_proxy_brings(server: Server, name: str) -> None:
    answer = server.get("/metrics", headers={name: "198.51.100.7"})
    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "CDI_METRICS" in answer.json()["detail"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    everything = yaml.safe_load((ROOT / "pygeoapi-config.yml").read_text(encoding="utf-8"))
    config = {"server": {"manager": {}}, "resources": {}, "metadata": everything["metadata"]}
    (tmp_path / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return tmp_path


@contextmanager
def client(home: Path, **env: str) -> Iterator[httpx.Client]:
    """Give a client of an application of its own, as seen from another machine."""
    app = create_app(Settings.load({"CDI_HOME": str(home), **env}, home / "config.yml"))
    made = httpx.Client(
        transport=httpx.WSGITransport(app, remote_addr="198.51.100.7"), base_url="http://localhost"
    )
    with closing(app.extensions["cdi"].store), made:
        yield made


def migrate(home: Path) -> None:
    with closing(Store(f"sqlite:///{home / 'cdi.db'}")) as store:
        store.migrate()


@pytest.mark.parametrize(("setting", "status"), [("loopback", 403), ("off", 403), ("anyone", 200)])
def test_a_setting_decides_who_reads_the_metrics(home: Path, setting: str, status: int) -> None:
    migrate(home)
    with client(home, CDI_METRICS=setting) as strangers:
        assert strangers.get("/metrics").status_code == status


def test_a_server_is_ready_once_its_store_is_migrated(home: Path) -> None:
    with client(home) as probe:
        early = probe.get("/readyz")
        assert early.status_code == 503
        assert early.headers["Content-Type"] == "application/problem+json"
        assert "revision none" in early.json()["detail"]
        assert probe.get("/healthz").json() == {"status": "ok"}
        migrate(home)
        assert probe.get("/readyz").json() == {"status": "ok"}


def test_a_store_of_an_older_version_is_not_ready_and_one_of_a_newer_is(home: Path) -> None:
    path = home / "cdi.db"
    migrate(home)
    with client(home) as probe:
        for revision, status in (("0001", 503), ("9999", 200)):
            with sqlite3.connect(path) as connection:
                connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
            connection.close()
            assert probe.get("/readyz").status_code == status


def test_a_store_that_cannot_be_used_is_said_by_readiness_and_not_by_liveness(home: Path) -> None:
    (home / "cdi.db").write_text("this is no database, and long enough to be seen as none")
    with client(home) as probe:
        answer = probe.get("/readyz")
        assert answer.status_code == 503
        assert "not a database" in answer.json()["detail"]
        assert probe.get("/healthz").status_code == 200
        assert probe.get("/metrics").status_code == 403
    with client(home, CDI_METRICS="anyone") as scraper:
        assert scraper.get("/metrics").status_code == 503


def test_probes_are_never_kept(server: Server) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert server.get(path).headers["Cache-Control"] == "no-store"
