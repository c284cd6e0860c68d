"""Every setting of manager and service in one place: meaning, unit, default and why.

Environment beats file; the file is ``pygeoapi-config.yml``, where all settings of ours stand under
``server.manager`` (the only part that stock pygeoapi hands over to a manager).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from k8s_manager.dataset_settings import Dataset, read_datasets
from k8s_manager.errors import ConfigError
from k8s_manager.identity_settings import IdentitySettings
from k8s_manager.kubernetes_settings import KubernetesSettings
from k8s_manager.outside_settings import OutsideSettings
from k8s_manager.setting_values import converted

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass(frozen=True)
class Settings:
    """What the manager and the service need to know; build it with `load`."""

    config: Path
    """CDI_CONFIG: what is served. Default pygeoapi-config.yml."""
    home: Path
    """CDI_HOME: all state of a local installation. Default ./var."""
    database_url: str
    """CDI_DATABASE_URL: the job store. Default an SQLite file in `home`: nothing to install."""
    workspace: Path
    """CDI_WORKSPACE: attempts, results, releases, cache. Default `home`/workspace."""
    backend: str = "local"
    """CDI_BACKEND: where steps run, ``local`` (subprocesses) or ``kubernetes``."""
    host: str = "127.0.0.1"
    """CDI_HOST: address to listen on. Loopback, as long as nobody is asked who they are."""
    allow_anonymous: bool = False
    """CDI_ALLOW_ANONYMOUS: listen beyond loopback although nobody is asked who they are. Off; for
    a server that only the like-minded reach. Better is CDI_IDENTITY_METHOD."""
    port: int = 5000
    """CDI_PORT: a taken port is named and the next free one is used. 5000 is pygeoapi's own."""
    public_url: str | None = None
    """CDI_PUBLIC_URL: address in links, without trailing slash. Default from host and port."""
    workers: int = 2
    """CDI_WORKERS: web worker processes. Two, so that one slow request does not stop the site."""
    sources: Path | None = None
    """CDI_SOURCES: file of configured sources. Default sources.yml beside the ingest CWL."""
    secrets_dir: Path | None = None
    """CDI_SECRETS_DIR: folder with one file per secret that a source names."""
    local_slots: int = field(default_factory=lambda: os.cpu_count() or 1)
    """CDI_LOCAL_SLOTS: steps that run at once on this machine. Default the number of cores."""
    lease_s: float = 10.0
    """CDI_LEASE_S: seconds a controller may stay silent before another takes over."""
    active_jobs: int = 32
    """CDI_ACTIVE_JOBS: jobs that share the backend at once. The others are rows of the job store
    and wait their turn, which costs next to nothing."""
    poll_s: float = 0.05
    """CDI_POLL_S: seconds between looks at the store when nothing else wakes the controller. One
    look reads one number and takes 0.3 ms; it is what a new job waits for where the store is a
    database server. An SQLite store tells the controller within 10 ms."""
    retry_delays_s: tuple[float, ...] = (1.0, 4.0, 16.0)
    """Pauses before another try after exit code 75; their number is the number of tries."""
    max_lost: int = 3
    """New rounds after attempts that ended without a word (killed, node lost)."""
    log_limit_bytes: int = 10_000_000
    """Bytes kept of each of a step's stdout and stderr; more is dropped with a note."""
    sync_limit_s: float = 60.0
    """Longest time limit, in seconds, of a process that may be executed synchronously."""
    max_sync_waiting: int = 4
    """Synchronous requests that may wait in one worker at once; more get 503."""
    body_limit_bytes: int = 32_000_000
    """Largest request body. An inventory of the whole state as GeoJSON has about 20 MB."""
    coverage_limit_cells: int = 16_000_000
    """Largest coverage answer in cells (all bands); beyond it 413 with the scale that fits."""
    inline_limit_bytes: int = 1_000_000
    """Largest result that stands inside a document or between other results; a larger one is
    answered by reference even where its value was asked for."""
    open_jobs_per_owner: int = 2_000
    """Unfinished jobs that one owner may have; more get 429. The controller looks at 2,000 within
    a second. 0 sets no limit."""
    metrics: str = "loopback"
    """CDI_METRICS: who may read ``/metrics`` of the web server: ``loopback`` (this machine, unless
    a proxy passes the request on), ``anyone`` (for a cluster with network policies) or ``off``."""
    metrics_host: str = "127.0.0.1"
    """CDI_METRICS_HOST: address at which a controller answers ``/metrics`` and ``/healthz``."""
    metrics_port: int = 0
    """CDI_METRICS_PORT: port of the same. Default 0, which means that it does not listen."""
    health_limit_s: float = 60.0
    """CDI_HEALTH_LIMIT_S: seconds after which a controller whose loop stands still is not healthy.
    A look at 2,000 records takes less than one; a store that is away holds it up for some 15."""
    keep_workspace_days: float = 30.0
    """Days for which inputs and outputs of successful jobs are kept; 0 keeps them for ever. A month
    to fetch results in; what was published is a release and not concerned."""
    keep_failed_workspace_days: float = 14.0
    """The same for failed jobs, whose outputs serve nothing but a retry; 0 keeps them for ever."""
    keep_dismissed_workspace_days: float = 7.0
    """The same for dismissed jobs; 0 keeps them for ever."""
    keep_logs_days: float = 90.0
    """Days for which what programs wrote to stdout and stderr is kept: a quarter, to look into
    what became strange since. 0 keeps it for ever."""
    keep_records_days: float = 0.0
    """Days for which the records of finished jobs are kept. 0, for ever: they are small, and say
    how a release came about."""
    keep_releases: int = 0
    """Newest releases kept of each dataset, besides the current one and those whose rasters a kept
    one names. 0 keeps all: releases are the product, deleting them is somebody's decision."""
    cache_limit_bytes: int = 50_000_000_000
    """Bytes that the input cache may have; what was used least recently goes first, never what a
    job that runs or whose files are kept needs. 50 GB leave room on a laptop; a server that works
    on whole districts wants more, or downloads them again and again. 0 sets no limit."""
    tidy_s: float = 60.0
    """Seconds between looks for what has been kept long enough."""
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    """Datasets that releases are published to, by name: a table of its own."""
    kubernetes: KubernetesSettings = field(default_factory=KubernetesSettings)
    """How steps become Jobs, for the backend ``kubernetes``: a table of its own."""
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    """How those who ask say who they are: a table of its own."""
    outside: OutsideSettings = field(default_factory=OutsideSettings)
    """Which other hosts are asked on a client's behalf: a table of its own."""

    @classmethod
    def load(cls, env: Mapping[str, str] | None = None, config: Path | None = None) -> Settings:
        """Read the configuration file and the environment.

        Args:
            env: Environment; the process's own when None.
            config: Configuration file; when None CDI_CONFIG, PYGEOAPI_CONFIG or the default.

        Raises:
            ConfigError: The file is missing or a value is not what is expected.
        """
        env = os.environ if env is None else env
        named = config or env.get("CDI_CONFIG") or env.get("PYGEOAPI_CONFIG")
        path = Path(named or "pygeoapi-config.yml").absolute()
        return cls.from_manager(read_config(path, env)["server"].get("manager") or {}, path, env)

    @classmethod
    def from_manager(
        cls, manager: Mapping[str, Any], config: Path, env: Mapping[str, str] | None = None
    ) -> Settings:
        """Build settings from a configuration's ``server.manager`` and the environment."""
        env = os.environ if env is None else env
        home = Path(env.get("CDI_HOME") or manager.get("home") or "var").absolute()
        values: dict[str, Any] = {
            "config": config,
            "home": home,
            "database_url": env.get("CDI_DATABASE_URL")
            or manager.get("connection")
            or f"sqlite:///{home / 'cdi.db'}",
            "workspace": Path(
                env.get("CDI_WORKSPACE") or manager.get("output_dir") or home / "workspace"
            ).absolute(),
            "datasets": read_datasets(manager.get("datasets") or {}),
            "kubernetes": KubernetesSettings.load(manager.get("kubernetes"), env),
            "identity": IdentitySettings.load(manager.get("identity"), env),
            "outside": OutsideSettings.load(manager.get("outside"), env),
        }
        for item in fields(cls):
            variable = f"CDI_{item.name.upper()}"
            given = env.get(variable) or manager.get(item.name)
            if item.name not in values and given is not None and given != "":
                values[item.name] = converted(variable, str(item.type), given)
        settings = cls(**values)
        if settings.backend not in ("local", "kubernetes"):
            raise ConfigError(f"CDI_BACKEND is {settings.backend!r}; expected local or kubernetes")
        if settings.metrics not in ("loopback", "anyone", "off"):
            raise ConfigError(
                f"CDI_METRICS is {settings.metrics!r}; expected loopback, anyone or off"
            )
        return settings

    @property
    def base_url(self) -> str:
        """The address in links, without trailing slash."""
        return (self.public_url or f"http://{_link_host(self.host)}:{self.port}").rstrip("/")


def read_config(path: Path, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Read a pygeoapi configuration file; ``${VAR:-default}`` is replaced from the environment.

    Raises:
        ConfigError: The file is missing, no YAML, or lacks ``server``.
    """
    env = os.environ if env is None else env
    try:
        text = path.read_text(encoding="utf-8")
        document = yaml.safe_load(expand(text, env))
    except OSError as error:
        raise ConfigError(
            f"configuration {path} cannot be read ({error.strerror}); "
            "name another with CDI_CONFIG or --config"
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"configuration {path} is not valid YAML: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("server"), dict):
        raise ConfigError(f"configuration {path} has no section 'server'")
    manager = document["server"].get("manager") or {}
    for name, section in (
        ("resources", document.get("resources")),
        ("server.manager", manager),
        ("server.manager.datasets", manager.get("datasets") if isinstance(manager, dict) else None),
    ):
        if section is not None and not isinstance(section, dict):
            raise ConfigError(
                f"configuration {path}: '{name}' must map names to entries, "
                f"it is a {type(section).__name__}"
            )
    return document


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace ``${VAR}`` and ``${VAR:-default}``; a variable without value or default is an error.

    Raises:
        ConfigError: A variable is not set and has no default.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        if env.get(name):
            return env[name]
        if default is None:
            raise ConfigError(f"environment variable {name} is used but not set")
        return default

    return _VARIABLE.sub(value, text)


def _link_host(host: str) -> str:
    return "localhost" if host in ("127.0.0.1", "0.0.0.0", "::1", "::") else host  # noqa: S104
