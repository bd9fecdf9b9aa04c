"""The local Lattice to test against: an independent SigV4 verifier, auth policies and routing.

>>> from lattice_client.testing import LocalLattice, serve
>>> lattice = LocalLattice()
>>> orders = lattice.add_service("orders", domain="orders.internal.example.com")
>>> caller = lattice.add_caller("orders-frontend")

``lattice`` is an ASGI application. ``serve(lattice)`` serves it on a socket (extra ``testing``);
the pytest fixtures ``lattice`` and ``lattice_tls`` do so for one test. Importing this module
imports no server, no HTTP library and no cryptography.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lattice_client._lazy import lazy_exports as _lazy_exports

if TYPE_CHECKING:
    from lattice_client.testing.access_log import AccessRecord
    from lattice_client.testing.assertions import Calls
    from lattice_client.testing.data_plane.received import ReceivedRequest
    from lattice_client.testing.faults.faults import Faults
    from lattice_client.testing.lattice import LocalLattice
    from lattice_client.testing.model.auth_layer import AuthLayer
    from lattice_client.testing.model.callers import Caller, Principal
    from lattice_client.testing.model.networks import ServiceNetwork
    from lattice_client.testing.model.rules import HeaderMatch, Rule
    from lattice_client.testing.model.services import Listener, Service
    from lattice_client.testing.model.target_groups import Target, TargetGroup
    from lattice_client.testing.policies import (
        ALLOW_AUTHENTICATED,
        NO_POLICY,
        AuthPolicy,
        Decision,
        Effect,
        Finding,
        IdentityPolicy,
        PolicyError,
        PolicyRequest,
        evaluate,
        lint,
    )
    from lattice_client.testing.refusals import RefusedError
    from lattice_client.testing.server.running import ExposedLatticeWarning, RunningLattice, serve
    from lattice_client.testing.targets.http_target import HTTPTarget
    from lattice_client.testing.targets.lambda_target import LambdaTarget
    from lattice_client.testing.templates.load import TemplateWarning, load
    from lattice_client.testing.verification.signature import WireRequest
    from lattice_client.testing.verification.verifier import Verified, Verifier

__all__ = [
    "ALLOW_AUTHENTICATED",
    "NO_POLICY",
    "AccessRecord",
    "AuthLayer",
    "AuthPolicy",
    "Caller",
    "Calls",
    "Decision",
    "Effect",
    "ExposedLatticeWarning",
    "Faults",
    "Finding",
    "HTTPTarget",
    "HeaderMatch",
    "IdentityPolicy",
    "LambdaTarget",
    "Listener",
    "LocalLattice",
    "PolicyError",
    "PolicyRequest",
    "Principal",
    "ReceivedRequest",
    "RefusedError",
    "Rule",
    "RunningLattice",
    "Service",
    "ServiceNetwork",
    "Target",
    "TargetGroup",
    "TemplateWarning",
    "Verified",
    "Verifier",
    "WireRequest",
    "evaluate",
    "lint",
    "load",
    "serve",
]

# Names are imported on first use, because pytest imports this package in every run.
_MODULE_OF = {
    "ALLOW_AUTHENTICATED": "policies",
    "AccessRecord": "access_log",
    "AuthLayer": "model.auth_layer",
    "AuthPolicy": "policies",
    "Caller": "model.callers",
    "Calls": "assertions",
    "Decision": "policies",
    "Effect": "policies",
    "ExposedLatticeWarning": "server.running",
    "Faults": "faults.faults",
    "Finding": "policies",
    "HTTPTarget": "targets.http_target",
    "HeaderMatch": "model.rules",
    "IdentityPolicy": "policies",
    "LambdaTarget": "targets.lambda_target",
    "Listener": "model.services",
    "LocalLattice": "lattice",
    "NO_POLICY": "policies",
    "PolicyError": "policies",
    "PolicyRequest": "policies",
    "Principal": "model.callers",
    "ReceivedRequest": "data_plane.received",
    "RefusedError": "refusals",
    "Rule": "model.rules",
    "RunningLattice": "server.running",
    "Service": "model.services",
    "ServiceNetwork": "model.networks",
    "Target": "model.target_groups",
    "TargetGroup": "model.target_groups",
    "TemplateWarning": "templates.load",
    "Verified": "verification.verifier",
    "Verifier": "verification.verifier",
    "WireRequest": "verification.signature",
    "evaluate": "policies",
    "lint": "policies",
    "load": "templates.load",
    "serve": "server.running",
}

if not TYPE_CHECKING:  # to a type checker, a name that is missing is an error
    __getattr__, __dir__ = _lazy_exports(globals(), _MODULE_OF)
