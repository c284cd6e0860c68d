"""Roles, and the settings of who is asked who they are."""

from __future__ import annotations

import pytest

from k8s_manager.errors import ConfigError
from k8s_manager.identity import INCLUDES, LOCAL, MEANINGS, Identity, Role, all_of
from k8s_manager.identity_settings import IdentitySettings


def test_officer_publisher_and_deployer_include_a_runner_and_not_one_another() -> None:
    for role in (Role.OFFICER, Role.PUBLISHER, Role.DEPLOYER):
        assert all_of(frozenset({role})) == {role, Role.RUNNER, Role.VIEWER}
    assert all_of(frozenset({Role.ADMIN})) == set(Role)
    assert all_of(frozenset({Role.VIEWER})) == {Role.VIEWER}
    assert INCLUDES.keys() == MEANINGS.keys() == set(Role)


def test_only_an_administrator_sees_the_jobs_of_all() -> None:
    for role in Role:
        seen = Identity("ada", frozenset({role})).jobs_of
        assert seen == (None if role is Role.ADMIN else "ada")
    assert LOCAL.jobs_of is None


def test_nobody_is_asked_unless_the_settings_say_so() -> None:
    assert not IdentitySettings.load(None, {}).asked
    asked = IdentitySettings.load({"method": "tokens", "anonymous": "viewer"}, {})
    assert asked.asked
    assert asked.nobody.may(Role.VIEWER)
    assert not asked.nobody.may(Role.RUNNER)
    assert not IdentitySettings.load({"method": "tokens"}, {}).nobody.may(Role.VIEWER)
    assert not IdentitySettings.load({"method": "tokens"}, {"CDI_IDENTITY_METHOD": "none"}).asked


@pytest.mark.parametrize(
    ("given", "env", "sentence"),
    [
        ([], {}, None),
        ([1], {}, "must map names to values"),
        ({"methods": "tokens"}, {}, "methods is no setting"),
        ({}, {"CDI_IDENTITY_METHOD": "token"}, "expected none or tokens or proxy"),
        ({}, {"CDI_IDENTITY_ANONYMOUS": "admin"}, "expected none or viewer"),
        ({"method": "proxy"}, {}, "CDI_IDENTITY_PROXY_ADDRESSES names no address"),
        ({"method": "proxy", "proxy_addresses": ["10.0.0.1/8"]}, {}, "host bits set"),
        ({"method": "proxy", "proxy_addresses": ["proxy.example"]}, {}, "no address or network"),
    ],
)
def test_wrong_settings_are_named(given: object, env: dict[str, str], sentence: str | None) -> None:
    if sentence is None:
        IdentitySettings.load(given, env)
        return
    with pytest.raises(ConfigError, match=sentence):
        IdentitySettings.load(given, env)
