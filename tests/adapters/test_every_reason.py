"""Every reason for which a request goes out unsigned, with every library: it is said once in the
log, by an event, and by the explanation of the refusal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

import pytest

from adapters import test_redirects_explained
from adapters.drivers import CLIENTS, DRIVERS, OWN, Driver
from lattice_client import Endpoint, NameSourceError, NotLatticeError, RetryPolicy
from lattice_client.events import NotSigned
from lattice_client.names import Names
from lattice_client.names import endpoint as endpoints
from lattice_client.names.unsigned import Reason
from lattice_client.testing.server.resolving import resolving
from support import canary
from support.names import Told
from support.raw_server import RawRequest, RawServer, raw_server, redirect_to
from support.sources import Clock

REGION = "us-west-2"
HOST, OTHER = "orders.internal.example.com", "books.internal.example.com"
RESOURCE = "db-0a1b.7d67968.vpc-lattice-rsc.us-west-2.on.aws"
LOOK_ALIKE = "orders-0a1b.7d67968.vpc-lattice-svcs.us-west-2.on.aws.example.com"
DENIED = (
    b"AccessDeniedException: User: anonymous is not authorized to perform: vpc-lattice-svcs:Invoke"
    b" because no service-based policy allows the vpc-lattice-svcs:Invoke action"
)
REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(DENIED), DENIED)


class Case(NamedTuple):
    """:param given: arguments of the auth object.
    :param auth: of the call itself.
    :param drivers: those to which it can happen.
    """

    said: str
    level: str
    url_host: str = HOST
    host: str | None = None
    path: str = "/"
    given: dict[str, Any] = {}  # noqa: RUF012 never changed
    auth: Any = OWN
    drivers: tuple[Driver, ...] = tuple(DRIVERS)


def not_lattices(reason: endpoints.Reason | None, level: str, said: str) -> Case:
    """Names answer for this reason that the host is not Lattice's."""
    source = f"DNS: {said}"
    endpoint = Endpoint(HOST, source=source, is_lattice=False, reason=reason)
    return Case(source, level, given={"names": Told({HOST: endpoint})})


def with_auth(*names: str) -> tuple[Driver, ...]:
    return tuple(driver for driver in CLIENTS if driver.name.startswith(names))


SEES_REDIRECTS = tuple(driver for driver in DRIVERS if driver.prevents_forwarding)
CASES: dict[Reason, Case] = {
    "unknown": not_lattices("unknown", "INFO", "no source knows it"),
    "uncertain": not_lattices("uncertain", "WARNING", "a zone may not be read"),
    "disagreement": not_lattices("disagreement", "WARNING", "managed name; but DNS: nowhere"),
    "foreign address": not_lattices("foreign address", "INFO", "93.184.216.34"),
    "private address": not_lattices("private address", "INFO", "10.0.16.5"),
    "unlisted network": not_lattices("unlisted network", "WARNING", "10.0.16.5"),
    "mixed addresses": not_lattices("mixed addresses", "WARNING", "169.254.171.33, 10.0.16.5"),
    "foreign target": not_lattices("foreign target", "INFO", "it leads to an ALB"),
    "said by a source": not_lattices(None, "INFO", "it is not"),
    "resource": Case("no signature is verified there", "WARNING", RESOURCE),
    "look-alike": Case("it looks like a name of VPC Lattice's", "WARNING", LOOK_ALIKE),
    "host out of scope": Case(
        "none of hosts=['a.example']", "INFO", given={"hosts": ["a.example"]}
    ),
    "URL out of scope": Case(
        "in its URL is none of hosts", "WARNING", OTHER, HOST, given={"hosts": [HOST]}
    ),
    "redirect": Case("another origin", "INFO", path="/elsewhere", drivers=SEES_REDIRECTS),
    "said by the call": Case(
        "the call has auth=None", "", auth=None, drivers=with_auth("httpx", "httpx2")
    ),
}
# With a local Lattice.
ELSEWHERE: dict[Reason, object] = {
    "redirect to http": test_redirects_explained.test_from_https_to_http_on_the_same_host,
    "redirect of a hook": test_redirects_explained.test_on_the_same_origin,
}


def test_there_is_no_other_reason():
    assert {*CASES, *ELSEWHERE} == set(get_args(Reason))


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    def respond(request: RawRequest) -> bytes:
        if request.target == b"/elsewhere":
            return redirect_to(f"http://{OTHER}:{running.port}/")
        return REFUSAL

    with (
        raw_server(respond) as running,
        resolving(lambda: (HOST, OTHER, RESOURCE, LOOK_ALIKE), "127.0.0.1"),
    ):
        yield running


@pytest.mark.parametrize(
    ("reason", "driver"),
    [(reason, driver) for reason, case in CASES.items() for driver in case.drivers],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_it_is_said(reason, driver, server, caplog):
    caplog.set_level(logging.INFO, "lattice_client.unsigned")
    case, events, before = CASES[reason], [], len(server.requests)
    auth = driver.auth(region=REGION, credentials=canary.credentials(), **case.given)
    settings = {"observers": [events.append]} if driver in CLIENTS else {}
    with driver.client(auth, **settings) as call:
        for _ in range(2):
            answer = call(
                "GET",
                f"http://{case.url_host}:{server.port}{case.path}",
                headers={} if case.host is None else {"Host": case.host},
                redirects=True,
                auth=case.auth,
            )
    last = server.requests[before:][-1]
    assert not last.signed

    if case.level:
        (line,) = [each for each in caplog.records if each.name == "lattice_client.unsigned"]
        assert line.levelname == case.level
        assert case.said in line.getMessage()
        assert "; " in line.getMessage()  # what would help
    else:
        assert not caplog.records

    told = [event for event in events if isinstance(event, NotSigned)]
    assert [event.reason for event in told] == [reason] * (driver in CLIENTS and bool(case.level))
    assert all(case.said in event.why and event.advice for event in told)

    assert answer.denial.kind == "unsigned"
    assert case.said in answer.denial.next_step
    assert "send it with LatticeAuth()" not in answer.denial.next_step


class TestErrors:
    """Where nothing is sent, the error says why."""

    @pytest.fixture(params=[DRIVERS[0], CLIENTS[-1]], ids=lambda driver: driver.name)
    def call(self, request, server):
        self.server, self.sent = server, len(server.requests)

        def call(names: object) -> None:
            auth = request.param.auth(region=REGION, credentials=canary.credentials(), names=names)
            with request.param.client(auth) as call:
                call("GET", f"http://{HOST}:{server.port}/")

        yield call
        assert len(server.requests) == self.sent

    @pytest.mark.parametrize("reason", get_args(endpoints.Reason))
    def test_strict_names(self, call, reason):
        endpoint = Endpoint(HOST, source="DNS: x", is_lattice=False, reason=reason)
        with pytest.raises(NotLatticeError, match=r"nothing was sent \(DNS: x; \w+"):
            call(Told({HOST: endpoint}, strict=True))

    def test_no_source_answers_and_the_old_answer_has_run_out(self, call):
        with pytest.raises(NameSourceError, match="the zone is away"):
            call(Names(Fails()))


class Fails:
    def find(self, name: str, now: float) -> Endpoint | None:
        raise NameSourceError("Route 53: the zone is away")


class TestAnswersThatAreKept:
    def test_a_negative_answer_is_said_once_however_often_it_is_renewed(self, server, caplog):
        caplog.set_level(logging.INFO, "lattice_client.unsigned")
        clock, driver = Clock(), DRIVERS[0]
        names = Names({OTHER: REGION}, clock=clock)
        with driver.client(driver.auth(credentials=canary.credentials(), names=names)) as call:
            for _ in range(3):
                clock.now += 8
                call("GET", f"http://{HOST}:{server.port}/")
        (line,) = [each for each in caplog.records if each.name == "lattice_client.unsigned"]
        assert "no source knows it" in line.getMessage()

    def test_a_source_that_fails_is_named_beside_the_answer_of_another(self):
        found = Names(Fails(), {HOST: {"is_lattice": False}}).resolve(HOST)
        assert found.reason == "uncertain"
        assert "the zone is away" in found.source


@pytest.mark.parametrize("driver", CLIENTS, ids=lambda driver: driver.name)
def test_a_name_that_moves_between_two_attempts(driver):
    """The first of them was signed, so the call has its other events, too."""
    events: list[object] = []
    names = Told({HOST: Endpoint(HOST, REGION)})

    def respond(_: RawRequest) -> bytes:
        if names.known[HOST].is_lattice:
            names.known[HOST] = Endpoint(HOST, source="DNS: it moved", is_lattice=False)
            return b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n"
        return REFUSAL

    auth = driver.auth(credentials=canary.credentials(), names=names)
    settings = {"observers": [events.append], "retry": RetryPolicy(base=0)}
    with (
        raw_server(respond) as server,
        resolving(lambda: (HOST,), "127.0.0.1"),
        driver.client(auth, **settings) as call,
    ):
        answer = call("GET", f"http://{HOST}:{server.port}/")
        assert [each.signed for each in server.requests] == [True, False]
    (told,) = [event for event in events if isinstance(event, NotSigned)]
    assert told.why == "DNS: it moved"
    assert told.why in answer.denial.next_step
