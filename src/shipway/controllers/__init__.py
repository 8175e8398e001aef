"""One level-triggered reconcile per kind: the only place where decisions meet I/O.

Every reconcile reads the world, calls the decision, does it, and writes the status once. It may be killed
between any two lines; the next pass mends what is there.
"""

from __future__ import annotations

from shipway.controllers.catalog import Catalog
from shipway.controllers.cluster import ClusterController
from shipway.controllers.clusters import Clusters
from shipway.controllers.curator import Curator
from shipway.controllers.gateway import GatewayController
from shipway.controllers.job import JobController
from shipway.controllers.manager import GATEWAY, Manager
from shipway.controllers.metrics import MetricFollower
from shipway.controllers.model import ModelController
from shipway.controllers.objects import Objects
from shipway.controllers.queue import Queue
from shipway.controllers.recorder import Recorder
from shipway.controllers.retention import RETENTION, RetentionController
from shipway.controllers.rolling import RollingServices
from shipway.controllers.service import ServiceController
from shipway.controllers.service_journal import ServiceJournal
from shipway.controllers.setbacks import Setbacks
from shipway.controllers.stories import Stories
from shipway.controllers.views import Views

__all__ = [
    "GATEWAY",
    "RETENTION",
    "Catalog",
    "ClusterController",
    "Clusters",
    "Curator",
    "GatewayController",
    "JobController",
    "Manager",
    "MetricFollower",
    "ModelController",
    "Objects",
    "Queue",
    "Recorder",
    "RetentionController",
    "RollingServices",
    "ServiceController",
    "ServiceJournal",
    "Setbacks",
    "Stories",
    "Views",
]
