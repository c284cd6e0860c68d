"""The tables of the job store, the only memory of the system.

`HEAD` names the newest migration; a test compares these tables with what the migrations make.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

HEAD = "0005"

metadata = MetaData()

_json = JSON(none_as_null=True)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("process_id", String(200), nullable=False),
    Column("process_version", String(100), nullable=False),
    Column("process", _json, nullable=False),
    Column("request", _json, nullable=False),
    Column("owner", String(200), nullable=False),
    Column("status", String(12), nullable=False),
    Column("ending", String(12)),
    Column("outcome", String(12)),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("finished", Float),
    Column("updated", Float, nullable=False),
    Column("progress", Integer, nullable=False),
    Column("message", Text, nullable=False),
    Column("results", _json),
    Column("error", _json),
    Column("dismiss_requested", Boolean, nullable=False),
    Column("removed", Float),
    Column("files_removed", Boolean, nullable=False),
    Column("retry_of", String(32)),
    Column("files_expired", Float),
    Column("logs_expired", Float),
    Index("jobs_by_outcome", "outcome"),
    # Records may hold megabytes in `process` and `request`: lists must not read them to filter.
    Index(
        "jobs_listed",
        *("id", "status", "removed", "process_id", "owner", "created", "started", "finished"),
    ),
    Index("jobs_by_status", "status", "removed", "id"),
    Index(
        "jobs_removed",
        *("files_removed", "id"),
        sqlite_where=text("removed IS NOT NULL"),
        postgresql_where=text("removed IS NOT NULL"),
    ),
    Index(
        "jobs_by_retry_of",
        "retry_of",
        sqlite_where=text("retry_of IS NOT NULL"),
        postgresql_where=text("retry_of IS NOT NULL"),
    ),
    Index(
        "jobs_with_files",
        *("outcome", "finished"),
        sqlite_where=text("files_expired IS NULL"),
        postgresql_where=text("files_expired IS NULL"),
    ),
    Index(
        "jobs_with_logs",
        "finished",
        sqlite_where=text("logs_expired IS NULL"),
        postgresql_where=text("logs_expired IS NULL"),
    ),
    Index("jobs_by_end", "finished"),
    Index(
        "jobs_open_by_owner",
        *("owner", "outcome"),
        sqlite_where=text("outcome IS NULL"),
        postgresql_where=text("outcome IS NULL"),
    ),
    comment="What was asked for and what became of it; `outcome` never changes once set",
)

steps = Table(
    "steps",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id"), primary_key=True),
    Column("step", String(20), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("state", String(12), nullable=False),
    Column("scattered", Boolean, nullable=False),
    Column("total", Integer),
    Column("progress", Float, nullable=False),
    Column("started", Float),
    Column("finished", Float),
    comment="How far each step of a job is",
)

rounds = Table(
    "rounds",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id"), primary_key=True),
    Column("step", String(20), primary_key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("name", String(63), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("indexes", _json, nullable=False),
    Column("ram_mb", Integer, nullable=False),
    Column("not_before", Float, nullable=False),
    Column("base", Integer),
    Column("code", String(64)),
    Column("open", Boolean, nullable=False),
    Column("created", Float, nullable=False),
    Index(
        "rounds_open",
        "job_id",
        sqlite_where=text("open = 1"),
        postgresql_where=text("open"),
    ),
    comment="Numbered tries of a step; an open one may have something running",
)

attempts = Table(
    "attempts",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id"), primary_key=True),
    Column("step", String(20), primary_key=True),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("attempt", String(80), primary_key=True),
    Column("round", Integer, nullable=False),
    Column("verdict", String(12), nullable=False),
    Column("folder", Text, nullable=False),
    Column("document", _json),
    Column("judged", Float, nullable=False),
    comment="Attempts that have ended, with their attempt.json and what followed",
)

commits = Table(
    "commits",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id"), primary_key=True),
    Column("step", String(20), primary_key=True),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("attempt", String(80), nullable=False),
    Column("outputs", _json, nullable=False),
    Column("reuse_key", String(64)),
    comment="The one attempt of each step and index whose outputs count; rows never change",
)

callbacks = Table(
    "callbacks",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("event", String(10), primary_key=True),
    Column("uri", Text, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("first_try", Float),
    Column("last_try", Float),
    Column("next_try", Float, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("delivered", Float),
    Index(
        "callbacks_open",
        "next_try",
        sqlite_where=text("open = 1"),
        postgresql_where=text("open"),
    ),
    comment="Whom a job's subscriber wants called, and what became of it",
)

releases = Table(
    "releases",
    metadata,
    Column("dataset", String(41), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("path", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("job_id", String(32), nullable=False),
    Column("previous", Integer),
    comment="Versions of datasets",
)

datasets = Table(
    "datasets",
    metadata,
    Column("dataset", String(41), primary_key=True),
    Column("version", Integer, nullable=False),
    comment="Which release of a dataset is current",
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("value", BigInteger, nullable=False),
    comment="`generation`: changes of the current releases; `wake`: requests to the controller",
)

lease = Table(
    "lease",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("expires", Float, nullable=False),
    comment="The one row that says which controller may write; `expires` by the database's clock",
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(10), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("roles", _json, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float),
    Column("revoked", Float),
    Column("last_used", Float),
    comment="Who may ask for what; `digest` is the SHA-256 of a token, which is nowhere else",
)
