"""API tokens: made, shown once, stored as hashes, checked in microseconds, revoked within seconds.

    cdi_<id: 10>_<secret: 32><checksum: 6>         all of 0-9 A-Z a-z

The prefix lets scanners for secrets find a token that leaked (`PATTERN`), the checksum (CRC-32 of
what is before it) lets a mistyped one be told from a forged one without asking the database. The id
finds the record and is no secret. The secret has 190 random bits: a plain SHA-256 of the token
keeps it as safe as a slow hash would, which exists to protect what people can remember.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import string
import threading
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import Row, insert, or_, select, update

from k8s_manager import schema
from k8s_manager.database import Database
from k8s_manager.errors import NoSuchToken, NotIdentified, StoreError
from k8s_manager.identity import Identity, Role, check_name
from k8s_manager.records import iso

log = logging.getLogger(__name__)
PREFIX = "cdi_"
PATTERN = r"\bcdi_[0-9A-Za-z]{10}_[0-9A-Za-z]{38}\b"
"""What a scanner for secrets should look for."""
BELIEVED_S = 2.0
"""Seconds for which a token is taken for what it was: as long as a revocation takes everywhere."""
USED_S = 60.0
"""Seconds between notes of a token's use, so that a thousand requests a second write no more."""
_REMEMBERED = 1000  # tokens of one process
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_PARTS = re.compile(r"cdi_([0-9A-Za-z]{10})_([0-9A-Za-z]{32})([0-9A-Za-z]{6})")
_tokens = schema.tokens.c


@dataclass(frozen=True)
class Token:
    """What is known of a token; not the token itself."""

    id: str
    name: str
    """Who has it: the owner of the jobs that it starts."""
    roles: frozenset[Role]
    created: str
    expires: str | None
    revoked: str | None
    last_used: str | None
    """When it was used last, at most `USED_S` too early."""
    valid: bool
    """Whether it is neither revoked nor expired."""


@dataclass(frozen=True)
class _Seen:
    """A record as it was read, and the process's clock then."""

    row: Row[tuple[object, ...]]
    at: float
    noted: float = float("-inf")
    """The process's clock when the use was noted last."""


class Tokens:
    """The tokens in a job store; safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}

    def create(
        self, name: str, roles: Iterable[Role], days: float | None = None
    ) -> tuple[str, Token]:
        """Make a token for somebody; several may have the same name.

        Args:
            name: Who gets it.
            roles: What it is for.
            days: Days after which it ends; None for never.

        Returns:
            The token, which can be had only now, and what is stored of it.

        Raises:
            ConfigError: The name cannot be used.
        """
        text, now = _new_text(), time.time()
        values = {
            "id": text[len(PREFIX) :][:10],
            "name": check_name(name),
            "roles": sorted(roles),
            "digest": _digest(text),
            "created": now,
            "expires": None if days is None else now + days * 86_400.0,
        }
        with self._database.write() as connection:
            connection.execute(insert(schema.tokens).values(values))
            query = select(schema.tokens).where(_tokens.id == values["id"])
            return text, _token(connection.execute(query).one())

    def all(self) -> list[Token]:
        """Return all tokens, the newest first, also those that are not valid any more."""
        with self._database.read() as connection:
            rows = connection.execute(select(schema.tokens).order_by(_tokens.created.desc())).all()
        return [_token(row) for row in rows]

    def revoke(self, token_id: str) -> Token:
        """End a token; harmless when done twice.

        Raises:
            NoSuchToken: There is none of that id.
        """
        with self._database.write() as connection:
            connection.execute(
                update(schema.tokens)
                .where(_tokens.id == token_id, _tokens.revoked.is_(None))
                .values(revoked=time.time())
            )
            query = select(schema.tokens).where(_tokens.id == token_id)
            row = connection.execute(query).first()
        if row is None:
            raise NoSuchToken(f"there is no token {token_id!r}; `cdi tokens list` shows their ids")
        return _token(row)

    def identify(self, text: str) -> Identity:
        """Return whose token this is.

        Raises:
            NotIdentified: It is none, or not any more; the sentence says which, and what to do.
            StoreError: The database cannot be used now.
        """
        parts = _PARTS.fullmatch(text)
        if parts is None:
            raise NotIdentified("this is no API token of this server: they begin with 'cdi_'")
        if not hmac.compare_digest(_checksum(text[:-6]), text[-6:]):
            raise NotIdentified("the API token is mistyped or cut off: its checksum is not right")
        row = self._row(parts[1])
        # Compared also where there is no such record: both take the same time.
        right = hmac.compare_digest(_digest(text), row.digest if row is not None else "0" * 64)
        if row is None or not right:
            raise NotIdentified("there is no such API token; ask an administrator for one")
        token = _token(row)
        if token.revoked is not None:
            raise NotIdentified(f"the API token was revoked on {token.revoked[:10]}")
        if not token.valid:
            raise NotIdentified(f"the API token was valid until {token.expires}")
        self._note_use(row.id)
        return Identity(token.name, token.roles)

    def _row(self, token_id: str) -> Row[tuple[object, ...]] | None:
        """Return a record, at most `BELIEVED_S` old."""
        now = time.monotonic()
        with self._lock:
            seen = self._seen.get(token_id)
        if seen is not None and now - seen.at < BELIEVED_S:
            return seen.row
        with self._database.read() as connection:
            query = select(schema.tokens).where(_tokens.id == token_id)
            row = connection.execute(query).first()
        with self._lock:
            if row is None:
                self._seen.pop(token_id, None)
                return None
            while len(self._seen) >= _REMEMBERED and token_id not in self._seen:
                del self._seen[next(iter(self._seen))]
            noted = seen.noted if seen is not None else float("-inf")
            self._seen[token_id] = _Seen(row, now, noted)
        return row

    def _note_use(self, token_id: str) -> None:
        """Write down that a token is used, unless that was done lately; never fails a request."""
        now = time.monotonic()
        with self._lock:
            seen = self._seen.get(token_id)
            if seen is None or now - seen.noted < USED_S:
                return
            self._seen[token_id] = replace(seen, noted=now)
        moment = time.time()
        lately = or_(_tokens.last_used.is_(None), _tokens.last_used < moment - USED_S)
        try:
            with self._database.write() as connection:
                connection.execute(
                    update(schema.tokens)
                    .where(_tokens.id == token_id, lately)
                    .values(last_used=moment)
                )
        except StoreError as error:
            log.warning("the use of token %s is not noted: %s", token_id, error)


def _new_text() -> str:
    def random(count: int) -> str:
        return "".join(secrets.choice(_ALPHABET) for _ in range(count))

    start = f"{PREFIX}{random(10)}_{random(32)}"
    return start + _checksum(start)


def _checksum(start: str) -> str:
    """Return the CRC-32 of a token's first parts as six digits to the base 62."""
    number, digits = zlib.crc32(start.encode("ascii")), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _ALPHABET[digit] + digits
    return digits


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _token(row: Row[tuple[object, ...]]) -> Token:
    known = {role.value for role in Role}
    ended = row.expires is not None and row.expires <= time.time()
    return Token(
        id=row.id,
        name=row.name,
        # A role of a newer version than this one gives nothing here.
        roles=frozenset(Role(role) for role in row.roles if role in known),
        created=iso(row.created),
        expires=None if row.expires is None else iso(row.expires),
        revoked=None if row.revoked is None else iso(row.revoked),
        last_used=None if row.last_used is None else iso(row.last_used),
        valid=row.revoked is None and not ended,
    )
