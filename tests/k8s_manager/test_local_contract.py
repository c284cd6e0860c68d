"""The local backend keeps the contract of all backends."""

from tests.contract.backend import BackendContract, ControllerContract


class TestLocalBackend(BackendContract):
    pass


class TestLocalController(ControllerContract):
    pass
