"""API tokens, in each database they may lie in: shown once, known again, ended for good."""

from __future__ import annotations

import re
import string
import time
import zlib
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from k8s_manager import schema
from k8s_manager.database import Database
from k8s_manager.errors import ConfigError, NoSuchToken, NotIdentified
from k8s_manager.identity import Role
from k8s_manager.tokens import BELIEVED_S, PATTERN, Tokens

pytestmark = pytest.mark.every_store
DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    yield made
    made.close()


@pytest.fixture
def tokens(database: Database) -> Tokens:
    return Tokens(database)


def with_checksum(start: str) -> str:
    """Return a token whose end is right, as somebody who read the docs can make one."""
    number, end = zlib.crc32(start.encode()), ""
    for _ in range(6):
        end, number = DIGITS[number % 62] + end, number // 62
    return start + end


def refusal(tokens: Tokens, text: str) -> str:
    """Return why a token is refused once it is."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            tokens.identify(text)
        except NotIdentified as error:
            return str(error)
    raise AssertionError("the token goes on being valid")


def test_a_token_tells_who_has_it_and_what_for(tokens: Tokens) -> None:
    text, token = tokens.create("ada", [Role.RUNNER, Role.PUBLISHER])
    who = tokens.identify(text)
    assert (who.name, who.roles) == ("ada", {Role.RUNNER, Role.PUBLISHER})
    assert who.known
    assert not who.ambient
    assert who.may(Role.VIEWER)
    assert not who.may(Role.DEPLOYER)
    [listed] = tokens.all()
    assert (listed.id, listed.name, listed.valid) == (token.id, "ada", True)


def test_a_token_is_found_by_scanners_and_has_a_checksum(tokens: Tokens) -> None:
    text, token = tokens.create("ada", [Role.RUNNER])
    assert re.findall(PATTERN, f'token = "{text}"  # oops') == [text]
    assert text.startswith(f"cdi_{token.id}_")
    assert with_checksum(text[:-6]) == text


def test_the_token_itself_is_not_in_the_store(tokens: Tokens, database: Database) -> None:
    text, _ = tokens.create("ada", [Role.RUNNER])
    with database.read() as connection:
        row = connection.execute(select(schema.tokens)).one()
    assert text[15:-6] not in repr(tuple(row))
    assert re.fullmatch("[0-9a-f]{64}", row.digest)


def test_two_tokens_of_one_name_end_one_by_one(tokens: Tokens) -> None:
    old, known = tokens.create("ada", [Role.RUNNER])
    new, _ = tokens.create("ada", [Role.RUNNER])
    tokens.revoke(known.id)
    with pytest.raises(NotIdentified, match="revoked"):
        tokens.identify(old)
    assert tokens.identify(new).name == "ada"


@pytest.mark.parametrize("position", [0, 5, 20, 50, -1])
def test_a_mistyped_token_is_told_from_a_forged_one(tokens: Tokens, position: int) -> None:
    text, _ = tokens.create("ada", [Role.RUNNER])
    letters = list(text)
    letters[position] = "A" if letters[position] != "A" else "B"
    with pytest.raises(NotIdentified, match=r"mistyped|no API token"):
        tokens.identify("".join(letters))


def test_forged_tokens_are_nobodys(tokens: Tokens) -> None:
    text, known = tokens.create("ada", [Role.RUNNER])
    guessed = with_checksum(f"cdi_{known.id}_{'0' * 32}")
    unknown = with_checksum(f"cdi_{'0' * 10}_{'0' * 32}")
    for forged in (guessed, unknown):
        with pytest.raises(NotIdentified, match="no such API token"):
            tokens.identify(forged)
    for wrong in ("", "cdi_", text[:-1], text + "0", "eyJhbGciOi.e30.x", "ü" * 53, text + "\n"):
        with pytest.raises(NotIdentified, match="no API token of this server"):
            tokens.identify(wrong)
    assert tokens.identify(text).name == "ada"


def test_an_expired_token_counts_no_more(tokens: Tokens) -> None:
    text, token = tokens.create("ada", [Role.RUNNER], days=3 / 86_400)
    assert tokens.identify(text).name == "ada"
    assert f"valid until {token.expires}" in refusal(tokens, text)
    assert not tokens.all()[0].valid


def test_a_revocation_elsewhere_counts_within_seconds(tokens: Tokens, database: Database) -> None:
    text, token = tokens.create("ada", [Role.RUNNER])
    tokens.identify(text)
    Tokens(database).revoke(token.id)
    revoked = time.monotonic()
    assert "revoked" in refusal(tokens, text)
    assert time.monotonic() - revoked < BELIEVED_S + 30


def test_revoking_twice_keeps_the_first_moment(tokens: Tokens) -> None:
    _, token = tokens.create("ada", [Role.RUNNER])
    first = tokens.revoke(token.id)
    assert not first.valid
    assert tokens.revoke(token.id).revoked == first.revoked
    with pytest.raises(NoSuchToken, match="cdi tokens list"):
        tokens.revoke("none")


def test_the_use_is_noted_once_in_a_while(tokens: Tokens, database: Database) -> None:
    text, _ = tokens.create("ada", [Role.RUNNER])
    assert tokens.all()[0].last_used is None
    tokens.identify(text)
    assert tokens.all()[0].last_used is not None

    def set_back(moment: float) -> None:
        with database.write() as connection:
            connection.execute(schema.tokens.update().values(last_used=moment))

    lately = time.time() - 30
    set_back(1.0)
    tokens.identify(text)  # this process noted it just now
    assert str(tokens.all()[0].last_used).startswith("1970")
    set_back(lately)
    Tokens(database).identify(text)  # another process sees that somebody did
    with database.read() as connection:
        assert connection.execute(select(schema.tokens.c.last_used)).scalar() == lately
    set_back(1.0)
    Tokens(database).identify(text)
    assert not str(tokens.all()[0].last_used).startswith("1970")


def test_a_store_that_cannot_be_written_to_refuses_nobody(
    tokens: Tokens, database: Database, database_url: str
) -> None:
    text, _ = tokens.create("ada", [Role.RUNNER])
    impatient = Database(database_url, busy_timeout_s=0.05)
    with database.write() as connection:  # holds the record
        connection.execute(schema.tokens.update().values(last_used=1.0))
        assert Tokens(impatient).identify(text).name == "ada"
    impatient.close()


@pytest.mark.parametrize("name", ["", "local", "anonymous", " ada", "a,b", "a\nb", "a" * 201])
def test_a_name_that_could_be_taken_for_another_is_refused(tokens: Tokens, name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        tokens.create(name, [Role.RUNNER])
    assert tokens.all() == []


def test_a_role_of_a_newer_version_gives_nothing(tokens: Tokens, database: Database) -> None:
    text, _ = tokens.create("ada", [Role.VIEWER])
    with database.write() as connection:
        connection.execute(schema.tokens.update().values(roles=["viewer", "emperor"]))
    assert tokens.identify(text).roles == {Role.VIEWER}
