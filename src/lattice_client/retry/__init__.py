"""When to send a request again: the policy, and the quota of each host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lattice_client._lazy import lazy_exports as _lazy_exports

if TYPE_CHECKING:
    from lattice_client.retry.policy import IDEMPOTENT_METHODS as IDEMPOTENT_METHODS
    from lattice_client.retry.policy import NO_RETRIES as NO_RETRIES
    from lattice_client.retry.policy import Attempts as Attempts
    from lattice_client.retry.policy import Decision as Decision
    from lattice_client.retry.policy import Outcome as Outcome
    from lattice_client.retry.policy import Reason as Reason
    from lattice_client.retry.policy import RetryPolicy as RetryPolicy
    from lattice_client.retry.policy import http_date as http_date
    from lattice_client.retry.quota import RetryQuota as RetryQuota
    from lattice_client.retry.quota import RetryQuotas as RetryQuotas

__all__ = [
    "IDEMPOTENT_METHODS",
    "NO_RETRIES",
    "Attempts",
    "Decision",
    "Outcome",
    "Reason",
    "RetryPolicy",
    "RetryQuota",
    "RetryQuotas",
    "http_date",
]

_MODULE_OF = {
    "Attempts": "policy",
    "Decision": "policy",
    "IDEMPOTENT_METHODS": "policy",
    "NO_RETRIES": "policy",
    "Outcome": "policy",
    "Reason": "policy",
    "RetryPolicy": "policy",
    "RetryQuota": "quota",
    "RetryQuotas": "quota",
    "http_date": "policy",
}

if not TYPE_CHECKING:  # to a type checker, a name that is missing is an error
    __getattr__, __dir__ = _lazy_exports(globals(), _MODULE_OF)
