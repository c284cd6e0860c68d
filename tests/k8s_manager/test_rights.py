"""The deployment grants its controller the rights that it needs in the stages' namespace."""

from __future__ import annotations

from pathlib import Path

import yaml

from k8s_manager.backends.rights import RIGHTS

ROLE = Path(__file__).parents[2] / "containers" / "deploy" / "base" / "controller-rights.yaml"


def test_the_role_of_the_deployment_grants_every_right_and_no_other_to_change_anything() -> None:
    role = next(item for item in yaml.safe_load_all(ROLE.read_text()) if item["kind"] == "Role")
    granted = {
        (verb, resource, group)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    needed = {(right.verb, right.resource, right.group) for right in RIGHTS}
    assert needed <= granted
    assert {verb for verb, *_ in granted - needed} <= {"get", "list"}
