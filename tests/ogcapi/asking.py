"""An application that asks who is there: processes, collections, a release, real tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uuid_utils
import yaml
from flask import Flask
from sqlalchemy import insert, select

from k8s_manager import schema
from k8s_manager.identity import Role
from k8s_manager.settings import Settings
from k8s_manager.store import Store
from k8s_manager.tokens import Tokens
from ogcapi.app import create_app
from processes.vector import write_layers
from tests.k8s_manager.installation import Installation
from tests.ogcapi.providers import coverage_files
from tests.ogcapi.providers.conftest import feature_resource, squares

ROOT = Path(__file__).parents[2]
PROCESSES = ROOT / "tests" / "data" / "processes"
ADDRESS = "http://localhost:5000"
GREET = {"inputs": {"name": "Ada"}}
RELEASE = {"inputs": {"name": "a"}}  # of the dataset demo, its default
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@dataclass
class Asking:
    """The application, its store, and a token for each role."""

    app: Flask
    settings: Settings
    store: Store
    tokens: Mapping[Role, str]

    @classmethod
    def at(cls, home: Path, database_url: str, **env: str) -> Asking:
        """Make everything in a folder; whom the tokens are of is called as their role."""
        config = home / "config.yml"
        config.write_text(yaml.safe_dump(_configuration(home)), encoding="utf-8")
        given = {"CDI_HOME": str(home), "CDI_DATABASE_URL": database_url, "CDI_PORT": "5000"}
        given |= {"CDI_METRICS": "anyone", "CDI_IDENTITY_METHOD": "tokens", **env}
        settings = Settings.load(given, config)
        store = Store(database_url)
        tokens = Tokens(store.database)
        made = {role: tokens.create(role.value, [role])[0] for role in Role}
        return cls(create_app(settings), settings, store, made)

    def client(self, remote: str = "127.0.0.1", **options: Any) -> httpx.Client:
        """Return a client whose requests come from the address `remote`."""
        transport = httpx.WSGITransport(self.app, remote_addr=remote)
        return httpx.Client(transport=transport, base_url=ADDRESS, **options)

    def bearer(self, role: Role | None) -> dict[str, str]:
        """Return the header by which somebody with this role says who they are."""
        return {} if role is None else {"Authorization": f"Bearer {self.tokens[role]}"}

    def run(self, name: str, values: Mapping[str, Any]) -> str:
        """Run a job of the machine to its end; return its id."""
        return Installation(self.settings, self.store).run(name, values).id

    def submit(self, name: str, values: Mapping[str, Any]) -> str:
        """Record a job of the machine that nobody runs; return its id."""
        return Installation(self.settings, self.store).submit(name, values).id

    def copy(self, job_id: str, owner: str, **changes: Any) -> str:
        """Record the same job for another owner; return its id."""
        with self.store.database.write() as connection:
            query = select(schema.jobs).where(schema.jobs.c.id == job_id)
            row = dict(connection.execute(query).mappings().one())
            row |= {"id": uuid_utils.uuid7().hex, "owner": owner, **changes}
            connection.execute(insert(schema.jobs).values(row))
        return str(row["id"])


def _configuration(home: Path) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / "pygeoapi-config.yml").read_text("utf-8"))
    config["server"]["manager"] = {
        "name": "k8s_manager.manager.KubernetesManager",
        "datasets": {"demo": {"crs": "EPSG:25832", "writers": ["release", "named-release"]}},
    }
    meadows = home / "meadows.gpkg"
    write_layers(meadows, {"objects": squares(3)})
    folder = home / "workspace" / "releases" / "demo" / "000001"
    folder.mkdir(parents=True)
    height = coverage_files.two_rasters(folder)
    processor = "k8s_manager.processor.CwlProcessor"
    files = {
        "greet": PROCESSES / "greet.cwl",
        "release": PROCESSES / "release" / "process.cwl",
        "named-release": PROCESSES / "release" / "named.cwl",
    }
    config["resources"] = {
        name: {"type": "process", "processor": {"name": processor, "cwl": str(path)}}
        for name, path in files.items()
    }
    config["resources"] |= {
        "meadows": feature_resource(meadows),
        "height": coverage_files.resource(height),
    }
    return config
