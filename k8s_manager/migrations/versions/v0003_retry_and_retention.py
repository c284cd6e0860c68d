"""Which job a job retries, what made a committed attempt, what has been deleted by age."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INDEXES = {
    "jobs_by_retry_of": (["retry_of"], "retry_of IS NOT NULL"),
    "jobs_with_files": (["outcome", "finished"], "files_expired IS NULL"),
    "jobs_with_logs": (["finished"], "logs_expired IS NULL"),
    "jobs_by_end": (["finished"], None),
}


def upgrade() -> None:
    op.add_column("jobs", sa.Column("retry_of", sa.String(32)))
    op.add_column("jobs", sa.Column("files_expired", sa.Float))
    op.add_column("jobs", sa.Column("logs_expired", sa.Float))
    op.add_column("rounds", sa.Column("code", sa.String(64)))
    op.add_column("commits", sa.Column("reuse_key", sa.String(64)))
    for name, (columns, condition) in _INDEXES.items():
        where = None if condition is None else sa.text(condition)
        op.create_index(name, "jobs", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name in _INDEXES:
        op.drop_index(name, "jobs")
    op.drop_column("commits", "reuse_key")
    op.drop_column("rounds", "code")
    for column in ("logs_expired", "files_expired", "retry_of"):
        op.drop_column("jobs", column)
