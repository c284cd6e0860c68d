"""Deleting what has been kept long enough, so that a volume does not fill up by itself.

| what                                  | kept                               | settings            |
|---------------------------------------|------------------------------------|---------------------|
| inputs and outputs of a finished job  | days, by outcome                   | `keep_*_days`       |
| stdout, stderr and progress of a job  | days                               | `keep_logs_days`    |
| record of a job                       | for ever, or days                  | `keep_records_days` |
| releases                              | all, or the newest of each dataset | `keep_releases`     |
| input cache                           | what was used last, up to a size   | `cache_limit_bytes` |

Nothing goes that an unfinished job may need: a job that is being retried keeps its files. The
controller does this beside its other work, a slice at a time.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future

from sqlalchemy import Connection, delete, select, update

from k8s_manager import records, schema
from k8s_manager.errors import CdiError, LeaseLost
from k8s_manager.expired_files import remove_data, remove_logs
from k8s_manager.input_cache import InputCache, needed
from k8s_manager.old_releases import remove_old_releases
from k8s_manager.retry import ancestors
from k8s_manager.rounds import Means
from k8s_manager.workspace import remove_tree

SLICE = 20
"""Jobs whose files are deleted in one slice, and..."""
CACHE_SLICE = 500
"""...objects of the cache."""
CACHE_LOOK_S = 600.0
"""Seconds between looks at the size of the cache: each of its files is asked for its size."""
_DAY_S = 86_400.0
_jobs = schema.jobs.c

log = logging.getLogger(__name__)


class Retention:
    """The deleting of old things in an installation; `tend` is called again and again."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._running: Future[bool] | None = None
        self._next = 0.0
        self._look_at_cache = 0.0

    def tend(self) -> None:
        """Start a slice beside when it is time for one; returns at once."""
        if self._running is not None:
            if not self._running.done():
                return
            more = self._outcome(self._running)
            self._running = None
            self._next = time.monotonic() + (0.0 if more else self._means.settings.tidy_s)
        elif time.monotonic() >= self._next:
            self._running = self._means.pool.submit(self.slice)

    def slice(self) -> bool:
        """Delete a little of what is due; True when there is more.

        Raises:
            LeaseLost: Another controller has taken over.
            StoreError: The database cannot be used now.
            OSError: Something cannot be deleted; nothing is written down about it.
        """
        settings = self._means.settings
        more = False
        for outcome, days in (
            (records.SUCCESSFUL, settings.keep_workspace_days),
            (records.FAILED, settings.keep_failed_workspace_days),
            (records.DISMISSED, settings.keep_dismissed_workspace_days),
        ):
            more |= days > 0 and self._expire_files(outcome, days)
        more |= settings.keep_logs_days > 0 and self._expire_logs(settings.keep_logs_days)
        more |= settings.keep_records_days > 0 and self._forget(settings.keep_records_days)
        if settings.keep_releases > 0:
            remove_old_releases(self._means.ledger, self._means.workspace, settings.keep_releases)
        if settings.cache_limit_bytes > 0 and time.monotonic() >= self._look_at_cache:
            more |= self._limit_cache(settings.cache_limit_bytes)
        return more

    def _outcome(self, slice_: Future[bool]) -> bool:
        try:
            return slice_.result()
        except LeaseLost:
            pass  # the controller notices by itself
        except (CdiError, OSError) as error:
            log.error("old files cannot be deleted: %s; trying again", error)
        except Exception:
            log.exception("old files cannot be deleted: a fault of the program")
        return False

    def _expire_files(self, outcome: str, days: float) -> bool:
        """Delete inputs and outputs of jobs of an outcome that ended so many days ago."""
        where = (_jobs.outcome == outcome, _jobs.files_expired.is_(None), _jobs.removed.is_(None))
        due = self._due(days, *where)
        for job_id in due:
            remove_data(self._means.workspace.job(job_id))
            self._note(job_id, files_expired=time.time())
            log.info("job %s: inputs and outputs deleted, kept for %g days", job_id, days)
        return len(due) == SLICE

    def _expire_logs(self, days: float) -> bool:
        """Delete what programs wrote, of jobs that ended so many days ago."""
        due = self._due(days, _jobs.logs_expired.is_(None), _jobs.removed.is_(None))
        for job_id in due:
            remove_logs(self._means.workspace.job(job_id))
            self._note(job_id, logs_expired=time.time())
            log.info("job %s: logs deleted, kept for %g days", job_id, days)
        return len(due) == SLICE

    def _forget(self, days: float) -> bool:
        """Delete jobs that ended so many days ago, with all that is left of them."""
        due = self._due(days)
        for job_id in due:
            remove_tree(self._means.workspace.job(job_id))
            with self._means.ledger.write() as connection:
                for table in (schema.commits, schema.attempts, schema.rounds, schema.steps):
                    connection.execute(delete(table).where(table.c.job_id == job_id))
                connection.execute(
                    update(schema.jobs).where(_jobs.retry_of == job_id).values(retry_of=None)
                )
                connection.execute(delete(schema.jobs).where(_jobs.id == job_id))
            log.info("job %s: record deleted, kept for %g days", job_id, days)
        return len(due) == SLICE

    def _due(self, days: float, *conditions: object) -> list[str]:
        """Return the oldest jobs that ended so many days ago and that nothing running needs."""
        query = (
            select(_jobs.id)
            .where(_jobs.finished < time.time() - days * _DAY_S, _jobs.outcome.is_not(None))
            .where(*conditions)  # type: ignore[arg-type]
            .where(_jobs.id.not_in(select(schema.rounds.c.job_id).where(schema.rounds.c.open)))
            .order_by(_jobs.finished)
            .limit(SLICE)
        )
        with self._means.store.database.read() as connection:
            retried = _being_retried(connection)
            if retried:
                query = query.where(_jobs.id.not_in(retried))
            return list(connection.execute(query).scalars())

    def _note(self, job_id: str, **values: float) -> None:
        with self._means.ledger.write() as connection:
            connection.execute(update(schema.jobs).where(_jobs.id == job_id).values(values))

    def _limit_cache(self, limit: int) -> bool:
        """Bring the cache down to its limit."""
        cache = InputCache(self._means.workspace)
        pruned = cache.prune(needed(self._means.store.database), to=limit, most=CACHE_SLICE)
        if pruned.objects:
            log.info("cache: %d objects deleted, %d bytes", pruned.objects, pruned.size)
        if pruned.objects == CACHE_SLICE:
            return True
        self._look_at_cache = time.monotonic() + CACHE_LOOK_S
        if pruned.left > limit:
            log.warning(
                "cache: %d bytes, above its limit of %d: %d bytes are needed by jobs that are kept",
                *(pruned.left, limit, pruned.needed),
            )
        return False


def _being_retried(connection: Connection) -> set[str]:
    """Return the jobs that an unfinished job retries, directly or through others."""
    query = select(_jobs.id).where(_jobs.outcome.is_(None), _jobs.retry_of.is_not(None))
    return {
        older
        for job_id in connection.execute(query).scalars().all()
        for older in ancestors(connection, job_id)
    }
