"""Connection pools of urllib3 that retire idle connections before Lattice closes them."""

from __future__ import annotations

import math
import os
import time
from typing import Any

import urllib3

__all__ = ["POOLS", "HTTPConnectionPool", "HTTPSConnectionPool"]

# Seconds. Lattice closes a connection that has been idle for 60 s ("Quotas for Amazon VPC Lattice",
# VPC Lattice User Guide); urllib3 keeps idle connections without a limit.
_LONGEST_IDLE = 55.0


# Errors show the class names, so they are urllib3's.
class HTTPConnectionPool(urllib3.HTTPConnectionPool):
    """Does not reuse a connection that has been idle for too long, or since before a fork: that one
    belongs to the parent process."""

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle = os.getpid(), time.monotonic()
        super()._put_conn(conn)

    def _get_conn(self, timeout: float | None = None) -> Any:
        conn: Any = super()._get_conn(timeout)
        owner, since = getattr(conn, "idle", (0, math.inf))
        if time.monotonic() - since > _LONGEST_IDLE or (owner and owner != os.getpid()):
            conn.close()  # urllib3 reconnects it on use
        return conn


class HTTPSConnectionPool(HTTPConnectionPool, urllib3.HTTPSConnectionPool):
    pass


POOLS: Any = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}
