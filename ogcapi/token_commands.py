"""``cdi tokens``: API tokens, made, listed and revoked by who administers the machine."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from k8s_manager.identity import MEANINGS, Role
from k8s_manager.settings import Settings
from k8s_manager.store import open_store
from k8s_manager.tokens import Token, Tokens
from ogcapi.terminal import ERR, OUT, Config

app = typer.Typer(help="Create, list and revoke API tokens.", no_args_is_help=True)
_ROLES = "; ".join(f"[bold]{role}[/bold] {meaning}" for role, meaning in MEANINGS.items())


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who gets it: the owner of the jobs it starts.")],
    roles: Annotated[list[Role], typer.Option("--role", "-r", help=f"May be repeated. {_ROLES}.")],
    days: Annotated[
        float | None, typer.Option(help="Days after which it ends; without, never.", min=0.001)
    ] = None,
    config: Config = None,
) -> None:
    """Make a token and print it, this once, on standard output."""
    settings = Settings.load(config=config)
    text, token = _tokens(settings).create(name, roles, days)
    OUT.out(text, highlight=False)
    _remark(
        f"Token {token.id} of {token.name}: {_roles(token)}, valid until {token.expires or 'it is'}"
        f"{'' if token.expires else ' revoked'}. It is stored as a hash and cannot be shown again."
    )
    if not settings.identity.asked:
        _remark("The server asks nobody for it yet: set CDI_IDENTITY_METHOD=tokens.")


@app.command("list")
def list_tokens(
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that are revoked or expired.")
    ] = False,
    config: Config = None,
) -> None:
    """List tokens by id, the newest first; the tokens themselves are nowhere."""
    shown = [
        token for token in _tokens(Settings.load(config=config)).all() if token.valid or everything
    ]
    table = Table(box=None, pad_edge=False)
    for title in ("Id", "Name", "Roles", "Created", "Expires", "Last used", "Revoked"):
        long = title in ("Name", "Roles")
        table.add_column(title, no_wrap=not long, overflow="fold", min_width=8 if long else None)
    for token in shown:
        days = ((time or "-")[:10] for time in (token.created, token.expires))
        used = (token.last_used or "-")[:16].replace("T", " ")
        revoked = (token.revoked or "-")[:10]
        table.add_row(token.id, escape(token.name), _roles(token), *days, used, revoked)
    OUT.print(table if shown else "No tokens.")


@app.command()
def revoke(
    ids: Annotated[list[str], typer.Argument(help="Ids as `cdi tokens list` shows them.")],
    config: Config = None,
) -> None:
    """End tokens; every server knows it within seconds."""
    tokens = _tokens(Settings.load(config=config))
    for token_id in ids:
        token = tokens.revoke(token_id)
        _remark(f"Token {token.id} of {token.name} is revoked.")


def _tokens(settings: Settings) -> Tokens:
    return Tokens(open_store(settings.database_url, settings.workspace).database)


def _roles(token: Token) -> str:
    return ", ".join(sorted(token.roles))


def _remark(sentence: str) -> None:
    """Say something on stderr, so that standard output holds the token alone."""
    ERR.print(sentence, markup=False, highlight=False, soft_wrap=True)
