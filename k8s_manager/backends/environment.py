"""What a step's program may see of the environment that its controller runs in: nothing secret."""

from __future__ import annotations

import os

from k8s_manager.backends.base import Round

_NETWORK_VARIABLES = (
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip


def program_environment(round_: Round) -> dict[str, str]:
    """Return the variables that a step gets on every backend.

    Libraries are told to use as many threads as the step asked cores for: left to themselves they
    take what the machine has.
    """
    threads = str(max(1, int(round_.cores)))
    environment = {
        "LANG": "C.UTF-8",
        "GDAL_NUM_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
    }
    names = ("CDI_DEBUG", *(_NETWORK_VARIABLES if round_.network else ()))
    return environment | {name: os.environ[name] for name in names if name in os.environ}
