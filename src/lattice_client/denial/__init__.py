"""Why a request was refused: as a value, an error or a line of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lattice_client._lazy import lazy_exports as _lazy_exports

if TYPE_CHECKING:
    from lattice_client.denial.explanation import explain as explain
    from lattice_client.denial.explanation import explain_parts as explain_parts
    from lattice_client.denial.explanation import raise_for_denial as raise_for_denial
    from lattice_client.denial.log import DenialLog as DenialLog
    from lattice_client.denial.model import ATTEMPT as ATTEMPT
    from lattice_client.denial.model import Denial as Denial
    from lattice_client.denial.model import Kind as Kind

__all__ = [
    "ATTEMPT",
    "Denial",
    "DenialLog",
    "Kind",
    "explain",
    "explain_parts",
    "raise_for_denial",
]

_MODULE_OF = {
    "ATTEMPT": "model",
    "Denial": "model",
    "DenialLog": "log",
    "Kind": "model",
    "explain": "explanation",
    "explain_parts": "explanation",
    "raise_for_denial": "explanation",
}

if not TYPE_CHECKING:  # to a type checker, a name that is missing is an error
    __getattr__, __dir__ = _lazy_exports(globals(), _MODULE_OF)
