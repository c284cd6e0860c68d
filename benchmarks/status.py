"""Times a status request, a page of jobs and a scrape with many job records in the store.

python benchmarks/status.py --records 100000 --waiting 1000
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import uuid_utils
from sqlalchemy import insert

from k8s_manager import schema
from k8s_manager.identity import Role
from k8s_manager.settings import Settings
from k8s_manager.store import Store
from k8s_manager.tokens import Tokens
from ogcapi.app import create_app

ROOT = Path(__file__).parent.parent
STEPS = ("ingest", "preprocess", "detect", "assess", "publish")
OWNERS = 20
LARGE = {"text": "x" * 3000}


def main() -> None:
    """Make the records, ask, show medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--waiting", type=int, default=1_000)
    parser.add_argument("--requests", type=int, default=100)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{folder}/cdi.db")
        store.migrate()
        ids = [uuid_utils.uuid7().hex for _ in range(args.records)]
        ended, waiting = ids[: -args.waiting], ids[-args.waiting :]
        _record(store, ended, waiting)
        settings = Settings.load({"CDI_HOME": folder}, ROOT / "pygeoapi-config.yml")
        client = create_app(settings).test_client()
        asked = Settings.load(
            {"CDI_HOME": folder, "CDI_IDENTITY_METHOD": "tokens"}, ROOT / "pygeoapi-config.yml"
        )
        known = create_app(asked).test_client()
        number = len(ended) // 2
        owner = store.owner(ended[number])
        token, _ = Tokens(store.database).create(owner, [Role.RUNNER])
        known.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        for name, path in (
            ("first scrape of a process", "/metrics"),
            ("scrape", "/metrics"),
            ("status of an ended job", f"/jobs/{ended[number]}"),
            ("status of a waiting job", f"/jobs/{waiting[-1]}"),
            ("page of jobs", "/jobs"),
            ("status, by token", f"/jobs/{ended[number]}"),
            ("page of jobs, by token", "/jobs"),
            ("readiness", "/readyz"),
        ):
            times = 1 if name.startswith("first") else args.requests
            asking = known if name.endswith("by token") else client
            print(f"{name:26s} {_median_ms(asking, path, times):8.1f} ms")  # noqa: T201


def _median_ms(client, path: str, number: int) -> float:  # type: ignore[no-untyped-def]
    taken = []
    for _ in range(number):
        before = time.perf_counter()
        answer = client.get(path)
        taken.append(time.perf_counter() - before)
        if answer.status_code != 200:
            raise SystemExit(f"{path}: {answer.get_data(as_text=True)}")
    return statistics.median(taken) * 1000


def _record(store: Store, ended: list[str], waiting: list[str]) -> None:
    with store.database.write() as connection:
        for ids, status in ((ended, "successful"), (waiting, "accepted")):
            for begin in range(0, len(ids), 5000):
                chunk = ids[begin : begin + 5000]
                jobs = [_job(id_, number, status) for number, id_ in enumerate(chunk)]
                connection.execute(insert(schema.jobs), jobs)
                if status == "successful":
                    steps = [_step(id_, n, name) for id_ in chunk for n, name in enumerate(STEPS)]
                    connection.execute(insert(schema.steps), steps)


def _job(id_: str, number: int, status: str) -> dict[str, object]:
    ended = status == "successful"
    return {
        **{"id": id_, "process_id": "orchard-monitoring", "process_version": "1"},
        **{"process": LARGE, "request": LARGE, "owner": f"owner-{number % OWNERS}"},
        **{"status": status, "outcome": status if ended else None},
        **{"created": 1.0, "started": 1.0 if ended else None, "finished": 2.0 if ended else None},
        **{"updated": 2.0, "progress": 100 if ended else 0, "message": ""},
        **{"dismiss_requested": False, "files_removed": False},
    }


def _step(job_id: str, number: int, name: str) -> dict[str, object]:
    times = {"started": 1.0, "finished": 2.0 + number}
    fixed = {"state": "done", "scattered": False, "total": 1, "progress": 1.0}
    return {"job_id": job_id, "step": name, "position": number, **fixed, **times}


if __name__ == "__main__":
    main()
