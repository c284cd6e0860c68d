"""Whom a job's subscriber wants called; counting the unfinished jobs of an owner."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "callbacks",
        # An older version, which knows nothing of this table, may delete old jobs.
        sa.Column(
            "job_id",
            sa.String(32),
            sa.ForeignKey("jobs.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("event", sa.String(10), primary_key=True),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("first_try", sa.Float),
        sa.Column("last_try", sa.Float),
        sa.Column("next_try", sa.Float, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text),
        sa.Column("delivered", sa.Float),
        comment="Whom a job's subscriber wants called, and what became of it",
    )
    op.create_index(
        "callbacks_open",
        "callbacks",
        ["next_try"],
        sqlite_where=sa.text("open = 1"),
        postgresql_where=sa.text("open"),
    )
    op.create_index(
        "jobs_open_by_owner",
        "jobs",
        ["owner", "outcome"],
        sqlite_where=sa.text("outcome IS NULL"),
        postgresql_where=sa.text("outcome IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("jobs_open_by_owner", "jobs")
    op.drop_table("callbacks")
