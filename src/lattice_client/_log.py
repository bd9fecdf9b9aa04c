"""The loggers of the package, for modules that load this one where they have something to log.

A program that configures no logging sees none of their records: a library leaves that to the
program ("Configuring Logging for a Library", Logging HOWTO of Python).
"""

from __future__ import annotations

import logging

__all__ = ["get_logger"]

_PACKAGE = "lattice_client"

logging.getLogger(_PACKAGE).addHandler(logging.NullHandler())


def get_logger(name: str) -> logging.Logger:
    """The logger ``lattice_client.NAME``."""
    return logging.getLogger(f"{_PACKAGE}.{name}")
