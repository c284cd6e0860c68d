"""A user of the cluster who may do some things only, as the controller of a deployment is one."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from pathlib import Path

import yaml

from k8s_manager.backends.kubernetes_api import Api
from k8s_manager.backends.rights import Right
from tests.cluster.conftest import wait_until

_CORE = "/api/v1/namespaces/{namespace}"
_RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
_NAME = "limited"


class LimitedUser:
    """A service account of a namespace with a role; `kubeconfig` is how to be it."""

    def __init__(self, api: Api, folder: Path, rights: Iterable[Right]) -> None:
        self._api = api
        self.name = f"system:serviceaccount:{api.namespace}:{_NAME}"
        api.create(f"{_CORE}/serviceaccounts", {"metadata": {"name": _NAME}})
        role = {"metadata": {"name": _NAME}, "rules": _rules(rights)}
        api.create(f"{_RBAC}/roles", role)
        binding = {
            "metadata": {"name": _NAME},
            "subjects": [{"kind": "ServiceAccount", "name": _NAME, "namespace": api.namespace}],
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": _NAME,
            },
        }
        api.create(f"{_RBAC}/rolebindings", binding)
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(_config(self._token())))
        self._known: set[Right] = set()
        self._await(rights)

    def grant(self, rights: Iterable[Right]) -> None:
        """Let the user do these things, and nothing else."""
        self._api.patch(f"{_RBAC}/roles/{_NAME}", {"rules": _rules(rights)})
        self._await(rights)

    def _await(self, rights: Iterable[Right]) -> None:
        """Wait until the server, which learns of roles a little later, decides by these rights."""
        wanted = set(rights)
        self._known |= wanted
        for right in self._known:
            allowed = right in wanted
            wait_until(lambda right=right, allowed=allowed: self._may(right) == allowed, str(right))

    def _may(self, right: Right) -> bool:
        asked = {
            "namespace": self._api.namespace,
            "verb": right.verb,
            "group": right.group,
            "resource": right.resource,
        }
        review = {"spec": {"user": self.name, "resourceAttributes": asked}}
        answer = self._api.ask("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])

    def _token(self) -> str:
        path = f"{_CORE}/secrets"
        annotations = {"kubernetes.io/service-account.name": _NAME}
        secret = {
            "metadata": {"name": _NAME, "annotations": annotations},
            "type": "kubernetes.io/service-account-token",
        }
        self._api.create(path, secret)
        path = f"{path}/{_NAME}"
        wait_until(lambda: "token" in self._api.get(path).get("data", {}), "token made")
        return base64.b64decode(self._api.get(path)["data"]["token"]).decode()


def _rules(rights: Iterable[Right]) -> list[dict[str, list[str]]]:
    return [
        {"apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb]}
        for right in rights
    ]


def _config(token: str) -> dict[str, object]:
    """Return the kubeconfig of these tests with another user."""
    config: dict[str, object] = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    current = config["current-context"]
    (context,) = (item for item in config["contexts"] if item["name"] == current)  # type: ignore[attr-defined]
    context["context"]["user"] = _NAME
    config["users"] = [{"name": _NAME, "user": {"token": token}}]
    return config
