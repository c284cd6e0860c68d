"""Indexes that hold what lists filter by, so that a list never reads whole records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "jobs_listed",
        "jobs",
        ["id", "status", "removed", "process_id", "owner", "created", "started", "finished"],
    )
    op.drop_index("jobs_by_process", "jobs")  # chosen where `jobs_listed` is quicker
    op.create_index("jobs_by_status", "jobs", ["status", "removed", "id"])
    gone = sa.text("removed IS NOT NULL")
    op.create_index(
        "jobs_removed", "jobs", ["files_removed", "id"], sqlite_where=gone, postgresql_where=gone
    )
    op.create_index(
        "rounds_open",
        "rounds",
        ["job_id"],
        sqlite_where=sa.text("open = 1"),
        postgresql_where=sa.text("open"),
    )


def downgrade() -> None:
    for name, table in (
        ("rounds_open", "rounds"), ("jobs_removed", "jobs"), ("jobs_by_status", "jobs"),
        ("jobs_listed", "jobs"),
    ):  # fmt: skip
        op.drop_index(name, table)
    op.create_index("jobs_by_process", "jobs", ["process_id"])
