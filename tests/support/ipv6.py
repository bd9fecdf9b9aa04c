"""Detects an IPv6 loopback; some containers have none."""

from __future__ import annotations

import socket

import pytest

__all__ = ["need_ipv6"]


def need_ipv6() -> None:
    """Skip the test, or all tests of the fixture, if there is none."""
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 loopback here")
