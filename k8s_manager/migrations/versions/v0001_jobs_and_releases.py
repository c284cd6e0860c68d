"""Jobs, their steps, rounds and attempts; releases; the controller's lease."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_json = sa.JSON(none_as_null=True)


def upgrade() -> None:
    _jobs()
    _progress_of_jobs()
    _releases()
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String(20), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
        comment="`generation`: changes of the current releases; `wake`: requests to the controller",
    )
    op.bulk_insert(counters, [{"name": "generation", "value": 0}, {"name": "wake", "value": 0}])
    lease = op.create_table(
        "lease",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
        comment="The one row that says which controller may write; "
        "`expires` by the database's clock",
    )
    op.bulk_insert(lease, [{"id": 1, "holder": "", "epoch": 0, "expires": 0.0}])


def downgrade() -> None:
    for table in (
        "lease", "counters", "datasets", "releases", "commits", "attempts", "rounds", "steps",
        "jobs",
    ):  # fmt: skip
        op.drop_table(table)


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("process_id", sa.String(200), nullable=False),
        sa.Column("process_version", sa.String(100), nullable=False),
        sa.Column("process", _json, nullable=False),
        sa.Column("request", _json, nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("status", sa.String(12), nullable=False),
        sa.Column("ending", sa.String(12)),
        sa.Column("outcome", sa.String(12)),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("started", sa.Float),
        sa.Column("finished", sa.Float),
        sa.Column("updated", sa.Float, nullable=False),
        sa.Column("progress", sa.Integer, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("results", _json),
        sa.Column("error", _json),
        sa.Column("dismiss_requested", sa.Boolean, nullable=False),
        sa.Column("removed", sa.Float),
        sa.Column("files_removed", sa.Boolean, nullable=False),
        comment="What was asked for and what became of it; `outcome` never changes once set",
    )
    op.create_index("jobs_by_process", "jobs", ["process_id"])
    op.create_index("jobs_by_outcome", "jobs", ["outcome"])


def _progress_of_jobs() -> None:
    job_id = ("job_id", sa.String(32))
    op.create_table(
        "steps",
        sa.Column(*job_id, sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("step", sa.String(20), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("scattered", sa.Boolean, nullable=False),
        sa.Column("total", sa.Integer),
        sa.Column("progress", sa.Float, nullable=False),
        sa.Column("started", sa.Float),
        sa.Column("finished", sa.Float),
        comment="How far each step of a job is",
    )
    op.create_table(
        "rounds",
        sa.Column(*job_id, sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("step", sa.String(20), primary_key=True),
        sa.Column("round", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("indexes", _json, nullable=False),
        sa.Column("ram_mb", sa.Integer, nullable=False),
        sa.Column("not_before", sa.Float, nullable=False),
        sa.Column("base", sa.Integer),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        comment="Numbered tries of a step; an open one may have something running",
    )
    op.create_table(
        "attempts",
        sa.Column(*job_id, sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("step", sa.String(20), primary_key=True),
        sa.Column("idx", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("attempt", sa.String(80), primary_key=True),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("verdict", sa.String(12), nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("document", _json),
        sa.Column("judged", sa.Float, nullable=False),
        comment="Attempts that have ended, with their attempt.json and what followed",
    )
    op.create_table(
        "commits",
        sa.Column(*job_id, sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("step", sa.String(20), primary_key=True),
        sa.Column("idx", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("attempt", sa.String(80), nullable=False),
        sa.Column("outputs", _json, nullable=False),
        comment="The one attempt of each step and index whose outputs count; rows never change",
    )


def _releases() -> None:
    op.create_table(
        "releases",
        sa.Column("dataset", sa.String(41), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("previous", sa.Integer),
        comment="Versions of datasets",
    )
    op.create_table(
        "datasets",
        sa.Column("dataset", sa.String(41), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        comment="Which release of a dataset is current",
    )
