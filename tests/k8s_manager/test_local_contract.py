"""The local backend keeps the contract of all backends."""

import pytest

from tests.contract.backend import BackendContract, ControllerContract


class TestLocalBackend(BackendContract):
    pass


@pytest.mark.every_store
class TestLocalController(ControllerContract):
    pass
