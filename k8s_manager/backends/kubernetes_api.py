"""The few calls of the Kubernetes API that the backend makes, as plain JSON.

The `kubernetes` package does what is hard (kubeconfig, tokens that are renewed, TLS); its typed
objects, which cost ten times the time and memory, are left out. Every call has time-outs, and what
may pass by itself is tried again a few times: no call takes longer than `LONGEST_S`.
"""

from __future__ import annotations

import json
import logging
import os
import random
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from urllib3.exceptions import HTTPError, ReadTimeoutError

from k8s_manager import controller_metrics
from k8s_manager.errors import BackendError, ConfigError

TIMEOUT_S = (5.0, 15.0)
"""To connect, and between two pieces of an answer."""
TRIES = 3
LONGEST_S = TRIES * sum(TIMEOUT_S) + 5.0
PAGE = 500
WATCH_S = 240
"""Seconds after which the server ends a watch; the client goes on from where it was."""
SILENCE_S = 30.0
"""Seconds without a word after which a watch is given up; the server sends bookmarks, but only
about once a minute, so a quiet namespace reconnects twice a minute."""
_TRANSIENT = {429, 500, 502, 503, 504}
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

JOBS = "/apis/batch/v1/namespaces/{namespace}/jobs"
PODS = "/api/v1/namespaces/{namespace}/pods"
EVENTS = "/api/v1/namespaces/{namespace}/events"

log = logging.getLogger(__name__)


class ApiError(BackendError):
    """The API server answered with an error; `status` is 0 when it did not answer."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed a little later."""
        return self.status == 0 or self.status in _TRANSIENT


class Api:
    """Jobs, pods and events of one namespace; safe to share between threads."""

    def __init__(self, namespace: str = "") -> None:
        from kubernetes.client import ApiClient

        configuration, found = _configured()
        configuration.retries = False
        configuration.connection_pool_maxsize = 16
        self.namespace = namespace or found
        self._client = ApiClient(configuration)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return a resource or one page of a list."""
        return self._call("GET", path, query=query)

    def everything(self, path: str, **query: Any) -> tuple[list[dict[str, Any]], str]:
        """Return all items of a list, page by page, and the version to watch from.

        Raises:
            ApiError: It cannot be had now.
        """
        items: list[dict[str, Any]] = []
        token = ""
        while True:
            page = self.get(path, limit=PAGE, **query, **({"continue": token} if token else {}))
            items += page["items"]
            token = page["metadata"].get("continue") or ""
            if not token:
                return items, page["metadata"]["resourceVersion"]

    def create(self, path: str, body: Mapping[str, Any]) -> bool:
        """Create a resource; False when one of that name exists already.

        Raises:
            ApiError: It was refused, or the server cannot be reached.
        """
        try:
            self._call("POST", path, body=body)
        except ApiError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                return False
            raise
        return True

    def ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a question that is asked by creating it, such as a review of rights.

        Raises:
            ApiError: There is no answer.
        """
        return self._call("POST", path, body=body)

    def patch(self, path: str, body: Mapping[str, Any]) -> None:
        """Change a resource (merge patch)."""
        self._call("PATCH", path, body=body, content="application/merge-patch+json")

    def delete(self, path: str, grace_s: int | None = None) -> None:
        """Delete a resource and, behind it, what belongs to it; harmless when it is not there."""
        query: dict[str, Any] = {"propagationPolicy": "Background"}
        if grace_s is not None:
            query["gracePeriodSeconds"] = grace_s
        try:
            self._call("DELETE", path, query=query)
        except ApiError as error:
            if error.status != 404:
                raise

    def watch(self, path: str, version: str, selector: str) -> Iterator[dict[str, Any]]:
        """Yield the events of a watch until its time is over or silence ends it.

        Raises:
            ApiError: The watch cannot be had, or broke; 410 asks for a new list. A server that ends
                a watch before its time is being stopped, and may come back with an older state.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "labelSelector": selector,
            "timeoutSeconds": WATCH_S,
            "allowWatchBookmarks": "true",
        }
        begun = time.monotonic()
        response = self._once("GET", path, query, None, None, (TIMEOUT_S[0], SILENCE_S))
        try:
            rest = b""
            for chunk in response.stream(65_536, decode_content=False):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield json.loads(line)
        except ReadTimeoutError:
            return  # silence
        except (HTTPError, OSError, ValueError) as error:
            raise ApiError(0, "Unreachable", f"the watch of {path} broke: {error}") from error
        finally:
            response.close()
        if time.monotonic() - begun < WATCH_S - 1.0:
            raise ApiError(410, "Ended", f"the watch of {path} ended before its time")

    def _call(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        content: str | None = None,
    ) -> dict[str, Any]:
        """Make a call, again a few times when that may help."""
        for tries_left in reversed(range(TRIES)):
            try:
                response = self._once(verb, path, query, body, content, TIMEOUT_S)
                return _document(response, verb, path)
            except ApiError as error:
                if not (error.transient and tries_left):
                    raise
                log.warning("%s; trying again", error)
                time.sleep(random.uniform(0.2, 0.6) * (TRIES - tries_left))  # noqa: S311
        raise AssertionError("not reached")

    def _once(
        self,
        verb: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
        content: str | None,
        timeout: tuple[float, float],
    ) -> Any:
        """Make one call and return the raw answer; an error answer is an `ApiError`."""
        headers = {"Accept": "application/json", "Content-Type": content or "application/json"}
        place = path.format(namespace=self.namespace)
        outcome = "unreachable"
        try:
            request = self._client.param_serialize(
                verb,
                place,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = self._client.call_api(*request, _request_timeout=timeout).response
            outcome = str(response.status)
            if response.status >= 400:
                raise _refusal(response.status, response.data)
        except (HTTPError, OSError) as error:
            raise ApiError(
                0, "Unreachable", f"the Kubernetes API does not answer {verb} {place}: {error}"
            ) from error
        finally:
            controller_metrics.backend_called(verb.lower(), outcome)
        return response


def _document(response: Any, verb: str, path: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(response.data)
    except (HTTPError, OSError, ValueError) as error:
        raise ApiError(
            0, "Unreachable", f"the Kubernetes API broke off its answer to {verb} {path}: {error}"
        ) from error
    return found


def _refusal(status: int, data: bytes) -> ApiError:
    """Return the error that an answer tells of; a missing right is named as such."""
    try:
        document = json.loads(data)
        reason, message = str(document.get("reason", "")), str(document.get("message", ""))
    except (ValueError, AttributeError):
        reason, message = "", bytes(data[:200]).decode("utf-8", "replace")
    if status == 401:
        message = f"the Kubernetes API does not know who we are ({message}); renew the kubeconfig"
    return ApiError(status, reason, message or f"the Kubernetes API answered {status}")


def _configured() -> tuple[Any, str]:
    """Return how to reach the cluster, and the namespace that goes with it."""
    from kubernetes import client, config

    configuration = client.Configuration()
    files = os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    try:
        if any(Path(file).exists() for file in files.split(os.pathsep)):
            # Named, since the package remembers the variable as it was when it was imported.
            config.load_kube_config(files, client_configuration=configuration)
            context = config.list_kube_config_contexts(files)[1]["context"]
            return configuration, context.get("namespace") or "default"
        config.load_incluster_config(client_configuration=configuration)
        return configuration, _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except (config.ConfigException, OSError, yaml.YAMLError) as error:
        raise ConfigError(
            f"the Kubernetes cluster cannot be reached as configured: {error}. "
            "Set KUBECONFIG, or run in a pod with a service account"
        ) from error
