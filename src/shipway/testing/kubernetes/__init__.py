"""An API server of Kubernetes that tests can fault, in process; what it says is held against recorded conversations."""

from shipway.testing.kubernetes.acting import Act
from shipway.testing.kubernetes.answers import Refusal
from shipway.testing.kubernetes.kubelet import Kubelet
from shipway.testing.kubernetes.server import FakeKubernetes

__all__ = ["Act", "FakeKubernetes", "Kubelet", "Refusal"]
