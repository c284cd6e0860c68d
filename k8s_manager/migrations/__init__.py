"""The history of the database schema, applied by alembic."""
