"""Concurrent calls, and processes that share a session."""

from __future__ import annotations

import os
import threading
import time
from calendar import timegm
from email.utils import formatdate

import anyio
import pytest

import lattice_client.requests
from adapters.drivers import DRIVERS, Driver
from lattice_client import LatticeAuth
from support import canary
from support.asynchronous import ASYNC_CLIENTS, backend, calling
from support.processes import in_a_child
from support.raw_server import OK, RawRequest, raw_server

MANY = 8


def auth(kind: type = LatticeAuth) -> LatticeAuth:
    return kind(region="us-west-2", credentials=canary.credentials())


class TenMinutesAhead:
    """A service whose clock is off; it answers the first calls only when all have arrived."""

    def __init__(self) -> None:
        self.refused = 0
        self._all_here = threading.Barrier(MANY)
        self._arrivals = 0
        self._lock = threading.Lock()

    def __call__(self, request: RawRequest) -> bytes:
        with self._lock:
            self._arrivals += 1
            first = self._arrivals <= MANY
        if first:
            self._all_here.wait(20)
        now = time.time() + 600
        signed_at = time.strptime(request.header("x-amz-date"), "%Y%m%dT%H%M%SZ")
        if abs(now - timegm(signed_at)) < 300:
            return OK
        with self._lock:
            self.refused += 1
        body = "InvalidSignatureException: Signature expired: it is late"
        date = formatdate(now, usegmt=True)
        return (
            f"HTTP/1.1 403 No\r\nDate: {date}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()


class TestAClockThatIsOff:
    """Each concurrent call is signed again once, and no later one is."""

    @pytest.mark.parametrize(
        "driver",
        [
            each
            for each in DRIVERS
            if not any(word in each.name for word in ("async", "aiohttp", "library-free"))
        ],
        ids=lambda driver: driver.name,
    )
    def test_threads(self, driver: Driver):
        def twice_at_once(call) -> list[int]:
            statuses: list[int] = []

            def get() -> None:
                statuses.append(call().status)

            for _ in range(2):
                threads = [threading.Thread(target=get) for _ in range(MANY)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(30)
            return statuses

        service = TenMinutesAhead()
        # A requests.Session of one's own keeps ten connections, and so many are enough.
        with raw_server(service) as server, driver.client(auth(driver.auth)) as client:
            statuses = twice_at_once(lambda: client("GET", server.url))
            assert statuses == [200] * 2 * MANY
            assert service.refused == MANY
            assert len(server.requests) == 3 * MANY

    @pytest.mark.parametrize("client", ASYNC_CLIENTS)
    def test_tasks(self, client):
        async def scenario(url: str) -> None:
            async with calling(client, auth=auth()) as get:
                for _ in range(2):
                    async with anyio.create_task_group() as tasks:
                        for _ in range(MANY):
                            tasks.start_soon(get, url)

        service = TenMinutesAhead()
        with raw_server(service) as server:
            anyio.run(scenario, server.url, backend=backend(client))
            assert service.refused == MANY
            assert len(server.requests) == 3 * MANY


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_session_from_before_a_fork():
    """The child signs and sends on a new connection."""
    with raw_server() as server, lattice_client.requests.Session(auth()) as session:
        session.trust_env = False
        assert session.get(server.url + "/before").status_code == 200
        assert in_a_child(lambda: session.get(server.url + "/child").status_code == 200)
        assert session.get(server.url + "/after").status_code == 200
        assert all(request.verified() for request in server.requests)
        assert [each.target for each in server.requests] == [b"/before", b"/child", b"/after"]
        assert server.connections == 2
        ids = {request.header("x-amzn-requestid") for request in server.requests}
        assert len(ids) == 3
