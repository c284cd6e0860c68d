"""The Kubernetes backend keeps the contract of all backends, on a real cluster."""

from tests.contract.backend import BackendContract, ControllerContract


class TestKubernetesBackend(BackendContract):
    pass


class TestKubernetesController(ControllerContract):
    pass
