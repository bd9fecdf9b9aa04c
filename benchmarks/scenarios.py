"""What is signed, and in which circumstances."""

from __future__ import annotations

import http.client
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

from benchmarks.contenders import METHOD, Contender, Floor, Headers, Ours, credentials, host
from benchmarks.rounds import Burst, Rounds, clock_cost, measure, timed

__all__ = ["HOT", "LOOP", "NO_QUERY", "RAW_QUERY", "SCENARIOS", "Scenario", "run"]

HOT = "hot"
NO_QUERY = "no query"
LOOP = "in a request loop"
RAW_QUERY = "raw : and / in the query"

Target = Callable[[int], str]


def plain(number: int) -> str:
    return f"/orders/{number}"


def two_parameters(number: int) -> str:
    """In canonical order and out of it by turns."""
    if number % 2:
        return f"/orders/{number}?page={number % 50}&status=open{number}"
    return f"/orders/{number}?status=open{number}&page={number % 50}"


def encoded(number: int) -> str:
    return f"/orders?page={number % 50}&name=blue%20shoes%20{number}"


def raw_query(number: int) -> str:
    """As yarl, the URLs of aiohttp, leaves it."""
    return f"/orders?of=arn:aws:iam::123456789012:role/reader-{number}&since=2026-08-30T12:00:00Z"


def arn(number: int) -> str:
    return f"/roles/arn:aws:iam::123456789012:role/reader@{number}"


def parameters(count: int) -> Target:
    """Out of order."""

    def target(number: int) -> str:
        return "/orders?" + "&".join(
            [f"p{(number + 7 * i) % count}={number}" for i in range(count)]
        )

    return target


def segments(count: int, end: str) -> Target:
    def target(number: int) -> str:
        return "/v1" + "".join([f"/segment-{number:08d}-{i}{end}" for i in range(count - 1)])

    return target


@dataclass(frozen=True, slots=True)
class Scenario:
    """A target to sign, a fresh one for each call, and the circumstances."""

    name: str
    told: str
    target: Target = two_parameters
    # What comes between two signatures, or is new at each: see run().
    circumstance: str = "nothing"
    # How many hosts are called in turn, and how many of its own headers a request has signed.
    hosts: int = 1
    headers: int = 0
    token: int = 900

    def own_headers(self, number: int) -> Headers:
        return [(f"x-amz-meta-{i}", f"value {i} of order {number}") for i in range(self.headers)]

    @property
    def is_whole(self) -> bool:
        """Whether more than the target differs from call to call."""
        return self.hosts > 1 or self.headers > 0


SCENARIOS = [
    Scenario(HOT, "two parameters, in either order; signatures in a tight loop"),
    Scenario(
        LOOP, "the same, with a loopback request between any two signatures", circumstance="request"
    ),
    Scenario(NO_QUERY, "no parameters", plain),
    Scenario("%20 in the query", "two parameters, one with two encoded spaces", encoded),
    Scenario(RAW_QUERY, "an ARN and a time, not encoded", raw_query),
    Scenario("ten parameters", "out of order", parameters(10)),
    Scenario("20 parameters", "out of order", parameters(20)),
    Scenario("200 parameters", "out of order", parameters(200)),
    Scenario("an ARN in the path", "with its colons and an @, not encoded", arn),
    Scenario("long path", "ten segments, 219 characters, no query", segments(10, ".part")),
    Scenario("path of 500", "as many segments, nothing to encode", segments(500, ".part")),
    Scenario("encoded path of 10", "as many segments, %20 in each", segments(10, "%20part")),
    Scenario("encoded path of 50", "as many segments, %20 in each", segments(50, "%20part")),
    Scenario("encoded path of 500", "as many segments, %20 in each", segments(500, "%20part")),
    Scenario("one signed header", "of the request's own, x-amz-meta-0", headers=1),
    Scenario("ten signed headers", "likewise", headers=10),
    Scenario("80 signed headers", "likewise", headers=80),
    Scenario("33 hosts", "one signer, hosts in turn", hosts=33),
    Scenario("257 hosts", "likewise", hosts=257),
    Scenario("10,000 hosts", "likewise", hosts=10_000),
    Scenario("token of 300", "characters, in place of 900", token=300),
    Scenario("token of 1,500", "characters", token=1500),
    Scenario("token of 12,000", "characters", token=12_000),
    Scenario("new second", "each call is in another second", circumstance="second"),
    Scenario("new day", "each call is on another day", circumstance="day"),
    Scenario("new credentials", "each call has its own credentials", circumstance="credentials"),
    Scenario("two threads", "two threads sign at once with one signer", circumstance="threads"),
]

# Seconds that one contender's burst is to last, about; and how many calls it may be.
_BURST = 0.0012
_FEWEST, _MOST = 8, 250


def run(
    scenario: Scenario,
    there: dict[str, type[Contender]],
    rounds: int,
    origin: str,
) -> Rounds:
    """Measure all contenders that can take part in a scenario.

    :param origin: of the cheap server, ``http://127.0.0.1:port``.
    """
    numbers = itertools.count()
    bursts: dict[str, Burst] = {}
    connection = http.client.HTTPConnection(origin.removeprefix("http://"), timeout=30)
    headers = Ours(credentials()).signed_headers("/orders/7")

    def request() -> None:
        """A whole signed request, as a client makes it between two signatures."""
        connection.request(METHOD, "/orders/7", headers=headers)
        connection.getresponse().read()

    for name, kind in there.items():
        if scenario.circumstance in ("second", "day") and not kind.takes_time:
            continue
        if scenario.circumstance == "credentials" and kind is Floor:
            continue
        if scenario.is_whole and not kind.takes_whole:
            continue
        contender = kind(credentials(token_length=scenario.token))
        calls = _calls(scenario, contender)
        bursts[name] = _burst(scenario, contender, calls, numbers, request)
    with closing(connection):
        return measure(bursts, rounds)


def _prepared(scenario: Scenario, contender: Contender, numbers: Iterable[int]) -> list[Any]:
    if not scenario.is_whole:
        return [contender.prepare(scenario.target(number)) for number in numbers]
    return [
        contender.prepare_whole(
            scenario.target(number),
            host(number % scenario.hosts),
            scenario.own_headers(number),
        )
        for number in numbers
    ]


def _calls(scenario: Scenario, contender: Contender) -> int:
    """How many calls make a burst."""
    sign = contender.sign_whole if scenario.is_whole else contender.sign
    prepared = _prepared(scenario, contender, range(20))
    return max(_FEWEST, min(_MOST, int(_BURST / timed(sign, prepared))))


def _burst(
    scenario: Scenario,
    contender: Contender,
    calls: int,
    numbers: Iterator[int],
    request: Callable[[], None],
) -> Burst:
    def prepared(count: int = calls) -> list[Any]:
        return _prepared(scenario, contender, itertools.islice(numbers, count))

    match scenario.circumstance:
        case "request":
            return lambda: _interrupted(contender, prepared(_FEWEST * 3), request)
        case "second" | "day":
            step = 1 if scenario.circumstance == "second" else 86_400
            times = itertools.count(1_500_000_000, step)
            return lambda: timed(
                lambda given: contender.sign_at(*given), list(zip(prepared(), times, strict=False))
            )
        case "credentials":
            fresh = map(credentials, itertools.count(1))
            return lambda: timed(
                lambda given: _sign_anew(type(contender), *given),
                list(zip(fresh, prepared(), strict=False)),
            )
        case "threads":
            # Longer than the switch interval, or one would end before the other begins.
            many = calls * 8
            return lambda: _in_two_threads(contender, prepared(many), prepared(many))
        case _:
            sign = contender.sign_whole if scenario.is_whole else contender.sign
            return lambda: timed(sign, prepared())


def _sign_anew(kind: type[Contender], fresh: Any, prepared: Any) -> None:
    kind(fresh).sign(prepared)


def _interrupted(
    contender: Contender, prepared: Iterable[Any], between: Callable[[], None]
) -> float:
    taken, calls = 0, 0
    for argument in prepared:
        between()
        start = perf_counter_ns()
        contender.sign(argument)
        taken += perf_counter_ns() - start
        calls += 1
    return taken / calls / 1e9 - clock_cost()


def _in_two_threads(contender: Contender, *shares: list[Any]) -> float:
    """Seconds from the start of the first to the end of the last, for one signature."""
    ready = threading.Barrier(len(shares))
    starts: list[int] = []
    ends: list[int] = []

    def work(share: list[Any]) -> None:
        sign = contender.sign
        ready.wait()
        starts.append(perf_counter_ns())
        for argument in share:
            sign(argument)
        ends.append(perf_counter_ns())

    threads = [threading.Thread(target=work, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (max(ends) - min(starts)) / sum(map(len, shares)) / 1e9
