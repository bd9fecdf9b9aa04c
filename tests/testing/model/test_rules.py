"""Rules: what they match, in which order, and their actions; weights."""

import functools
import math
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import httpx
import pytest

from lattice_client import ConfigurationError
from lattice_client.testing import HeaderMatch, LambdaTarget, LocalLattice, serve
from lattice_client.testing.model.rules import Forward
from support.asgi_driver import Exchange, fetch
from support.local_oracles import HOST, wire


def request_for(target="/", method="GET", headers=()):
    return wire(method, target, [("host", HOST), *headers])


def named(name):
    """A target that answers with its name."""

    async def target(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": name.encode()})

    return target


@pytest.fixture
def lattice():
    """A local Lattice without authentication; its service forwards to ``default``."""
    lattice = LocalLattice(seed=7)
    lattice.add_service("orders", domain=HOST, auth_type="NONE", target=named("default"))
    return lattice


def answer(lattice, *args, **kwargs):
    exchange = Exchange(lattice, request_for(*args, **kwargs)).run()
    return exchange.text if exchange.status == 200 else exchange.status


# Conditions

BETA = [("x-tenant", "Acme-Beta-1")]


@pytest.mark.parametrize(
    ("conditions", "target", "method", "headers", "matches"),
    [
        ({"path": "/health"}, "/health", "GET", (), True),
        ({"path": "/health"}, "/health?full=1", "GET", (), True),
        ({"path": "/health"}, "/health/", "GET", (), False),
        ({"path": "/health"}, "/healthy", "GET", (), False),
        ({"path": "/health"}, "/HEALTH", "GET", (), True),
        ({"path": "/Health", "case_sensitive": True}, "/health", "GET", (), False),
        ({"path": "/Health", "case_sensitive": True}, "/Health", "GET", (), True),
        ({"path": "/a%20b"}, "/a%20b", "GET", (), True),
        ({"path": "/a/b"}, "/a%2Fb", "GET", (), False),
        ({"prefix": "/v2"}, "/v2", "GET", (), True),
        ({"prefix": "/v2"}, "/V2/orders", "GET", (), True),
        ({"prefix": "/v2"}, "/v20", "GET", (), True),
        ({"prefix": "/v2/"}, "/v2", "GET", (), False),
        ({"prefix": "/v2"}, "/v1?x=/v2", "GET", (), False),
        ({"prefix": "/V2", "case_sensitive": True}, "/v2/orders", "GET", (), False),
        ({"prefix": "/"}, "/anything", "GET", (), True),
        ({"method": "POST"}, "/", "POST", (), True),
        ({"method": "POST"}, "/", "GET", (), False),
        ({"method": "POST"}, "/", "post", (), False),
        ({"method": "PURGE"}, "/", "PURGE", (), True),
        ({"headers": {"x-tenant": "acme-beta-1"}}, "/", "GET", BETA, True),
        ({"headers": {"X-TENANT": "acme-beta-1"}}, "/", "GET", BETA, True),
        ({"headers": {"x-tenant": "acme"}}, "/", "GET", BETA, False),
        ({"headers": {"x-tenant": "acme"}}, "/", "GET", (), False),
        ({"headers": [HeaderMatch("x-tenant", prefix="acme")]}, "/", "GET", BETA, True),
        ({"headers": [HeaderMatch("x-tenant", prefix="beta")]}, "/", "GET", BETA, False),
        ({"headers": [HeaderMatch("x-tenant", contains="-beta-")]}, "/", "GET", BETA, True),
        ({"headers": [HeaderMatch("x-tenant", contains="gamma")]}, "/", "GET", BETA, False),
        (
            {"headers": [HeaderMatch("x-tenant", contains="beta", case_sensitive=True)]},
            "/",
            "GET",
            BETA,
            False,
        ),
        (
            {"headers": [HeaderMatch("x-tenant", exact="Acme-Beta-1", case_sensitive=True)]},
            "/",
            "GET",
            BETA,
            True,
        ),
        ({"headers": {"x-a": "2"}}, "/", "GET", [("x-a", "1"), ("x-a", "2")], True),
        ({"headers": {"x-a": "1", "x-b": "2"}}, "/", "GET", [("x-a", "1")], False),
        (
            {"method": "GET", "prefix": "/v2", "headers": {"x-a": "1"}},
            "/v2/x",
            "GET",
            [("x-a", "1"), ("x-b", "2")],
            True,
        ),
        ({"method": "GET", "prefix": "/v2"}, "/v1", "GET", (), False),
    ],
)
def test_conditions(lattice, conditions, target, method, headers, matches):
    lattice.service("orders").when(**conditions).forward_to(named("rule"))
    assert answer(lattice, target, method, headers) == ("rule" if matches else "default")


def test_the_lowest_priority_comes_first(lattice):
    orders = lattice.service("orders")
    orders.when(prefix="/", priority=50).forward_to(named("all"))
    orders.when(prefix="/v2", priority=10).forward_to(named("v2"))
    orders.when(path="/v2/gone", priority=9).respond(404)
    assert answer(lattice, "/v2/gone") == 404
    assert answer(lattice, "/v2/other") == "v2"
    assert answer(lattice, "/v1") == "all"
    assert [rule.priority for rule in orders.rules] == [9, 10, 50, None]


def test_rules_without_a_priority_come_in_their_order(lattice):
    orders = lattice.service("orders")
    first = orders.when(prefix="/a").forward_to(named("first"))
    orders.when(prefix="/a/b").forward_to(named("second"))
    assert answer(lattice, "/a/b") == "first"
    orders.rules.remove(first)
    assert answer(lattice, "/a/b") == "second"
    assert orders.when(path="/c").respond(500).priority == 3


def test_a_status_is_a_whole_number(lattice):
    with pytest.raises(ConfigurationError, match=r"404\.0"):
        lattice.service("orders").otherwise.respond(404.0)


@pytest.mark.parametrize(("status", "text"), [(404, "Not Found"), (500, "Internal Server Error")])
def test_fixed_responses(lattice, status, text):
    lattice.service("orders").otherwise.respond(status)
    exchange = Exchange(lattice, request_for()).run()
    assert (exchange.status, exchange.text) == (status, text)
    record = lattice.access_log[-1]
    assert record["responseCode"] == status
    assert record["targetGroupArn"] is None
    assert record["failureReason"] is None
    assert record["listenerId"] == lattice.service("orders").listener_ids["http"]


def test_who_may_not_pass_does_not_see_the_rules(lattice):
    orders = lattice.service("orders")
    orders.otherwise.respond(404)
    orders.auth_type = "AWS_IAM"
    assert answer(lattice) == 403


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({}, "needs a condition"),
        ({"path": "/a", "prefix": "/b"}, "a path or a prefix, not both"),
        ({"path": "health"}, "'health' is not a path for a rule"),
        ({"prefix": "/v2/*"}, "without wildcards"),
        ({"path": "/" + "a" * 128}, "up to 127"),
        ({"method": "GET POST"}, "is not a method"),
        ({"headers": {"": "x"}}, "a header's name must have 1 to 40 characters"),
        ({"headers": {"x" * 41: "x"}}, "a header's name must have 1 to 40 characters"),
        ({"headers": {"x-a": ""}}, "must have 1 to 128 characters"),
        ({"headers": {f"x-{number}": "x" for number in range(6)}}, "at most 5 conditions"),
        ({"path": "/a", "priority": 0}, "a priority must be 1 to 100, not 0"),
        ({"path": "/a", "priority": 101}, "a priority must be 1 to 100, not 101"),
        ({"path": "/a", "priority": 5}, "there is a rule of priority 5 already"),
        ({"path": "/a", "priority": "6"}, "a priority must be 1 to 100, not '6'"),
        ({"path": 5}, "a rule's path must be a string, not 5"),
        ({"prefix": b"/v2"}, "a rule's prefix must be a string, not b'/v2'"),
        ({"method": 5}, "a rule's method must be a string, not 5"),
        ({"headers": ["a"]}, "headers must be a mapping of names to values, or a list .*, not 'a'"),
        ({"headers": "x-a"}, "headers must be a mapping of names to values"),
        ({"headers": HeaderMatch("x-a", exact="1")}, "a list of HeaderMatch objects, not Header"),
        ({"headers": {"x-a": 1}}, "the value for the header 'x-a' must be a string, not 1"),
        ({"headers": {1: "x"}}, "a header's name must be a string, not 1"),
    ],
)
def test_what_lattice_would_refuse_is_refused(lattice, conditions, words):
    orders = lattice.service("orders")
    orders.when(path="/five", priority=5).respond(404)
    with pytest.raises(ConfigurationError, match=words):
        orders.when(**conditions).respond(404)
    assert len(list(orders.rules)) == 2


@pytest.mark.parametrize("how", ["exact", "prefix", "contains"])
def test_a_condition_on_a_header_may_have_128_characters(lattice, how):
    orders = lattice.service("orders")
    orders.when(headers=[HeaderMatch("x-a", **{how: "v" * 128})]).respond(404)
    assert answer(lattice, headers=[("x-a", "v" * 128)]) == 404
    assert answer(lattice, headers=[("x-a", "v" * 127)]) == "default"
    with pytest.raises(ConfigurationError, match="must have 1 to 128 characters"):
        HeaderMatch("x-a", **{how: "v" * 129})


def test_a_condition_on_a_header_is_one():
    with pytest.raises(ConfigurationError, match="give one of exact, prefix and contains"):
        HeaderMatch("x-a")
    with pytest.raises(ConfigurationError, match="give one of exact, prefix and contains"):
        HeaderMatch("x-a", exact="1", prefix="2")


def test_actions_are_checked_too(lattice):
    orders = lattice.service("orders")
    blue, green = lattice.add_target_group("blue"), lattice.add_target_group("green")
    with pytest.raises(ConfigurationError, match="a fixed response is 404 or 500, not 403"):
        orders.otherwise.respond(403)
    for weight in (-1, 1000):
        with pytest.raises(ConfigurationError, match=f"'blue' must be 0 to 999, not {weight}"):
            orders.otherwise.forward_to({blue: weight, green: 1})
    with pytest.raises(ConfigurationError, match="'blue' must be 0 to 999, not '1'"):
        orders.otherwise.forward_to({blue: "1"})
    with pytest.raises(ConfigurationError, match=r"not of 'blue'; lattice.target_group\(name\)"):
        orders.otherwise.forward_to({"blue": 1})
    with pytest.raises(ConfigurationError, match="must not all be 0"):
        orders.otherwise.forward_to({blue: 0, green: 0})
    with pytest.raises(ConfigurationError, match="must be a target group to forward to"):
        orders.otherwise.forward_to()
    with pytest.raises(ConfigurationError, match="the target group 'blue' already exists"):
        lattice.add_target_group("blue")
    with pytest.raises(ConfigurationError, match="'tg-blue' is not a valid target group name"):
        lattice.add_target_group("tg-blue")
    with pytest.raises(KeyError, match="no target group 'red'; there are: blue, green"):
        lattice.target_group("red")
    assert answer(lattice) == "default"


# Targets of a group


def test_targets_take_turns(lattice):
    group = lattice.add_target_group("three", named("a"), named("b"), named("c"))
    lattice.service("orders").otherwise.forward_to(group)
    assert [answer(lattice) for _ in range(6)] == ["a", "b", "c"] * 2


def test_unhealthy_targets_get_nothing_while_there_are_others(lattice):
    group = lattice.add_target_group("two", named("a"), named("b"))
    lattice.service("orders").otherwise.forward_to(group)
    group.targets[0].healthy = False
    assert {answer(lattice) for _ in range(4)} == {"b"}
    assert "unhealthy" in repr(group.targets[0])


def test_where_all_are_unhealthy_all_get_requests(lattice):
    group = lattice.add_target_group("two", named("a"), named("b"))
    lattice.service("orders").otherwise.forward_to(group)
    for target in group.targets:
        target.healthy = False
    assert {answer(lattice) for _ in range(4)} == {"a", "b"}


def test_targets_come_and_go(lattice):
    group = lattice.add_target_group("changing")
    lattice.service("orders").otherwise.forward_to(group)
    assert answer(lattice) == 500
    assert lattice.access_log[-1]["failureReason"] == "TargetConnectionError"
    only = group.register(named("a"))
    assert answer(lattice) == "a"
    assert lattice.access_log[-1]["targetGroupArn"] == group.arn
    group.deregister(only)
    assert answer(lattice) == 500
    for none in (42, lambda event, context: None):
        with pytest.raises(ConfigurationError, match="a target is an ASGI application"):
            group.register(none)
    with pytest.raises(
        ConfigurationError, match="a Lambda handler must be a function, not 'handler'"
    ):
        LambdaTarget("handler")
    assert not group.targets
    assert repr(group.register("http://127.0.0.1:9").app) == "<HTTPTarget http://127.0.0.1:9>"


def test_a_services_own_target_can_be_replaced(lattice):
    orders = lattice.service("orders")
    orders.target = replaced = named("replaced")
    assert orders.target is replaced
    assert answer(lattice) == "replaced"
    orders.target = "http://127.0.0.1:9"
    assert repr(orders.target) == "<HTTPTarget http://127.0.0.1:9>"
    with pytest.raises(ConfigurationError, match="a target is an ASGI application or a URL"):
        orders.target = 42


def test_one_group_may_stand_behind_several_services(lattice):
    shared = lattice.add_target_group("shared", named("shared"))
    lattice.add_service("rates", domain="rates.example.com", auth_type="NONE", target=shared)
    lattice.service("orders").otherwise.forward_to(shared)
    assert answer(lattice) == "shared"
    assert lattice.service("rates").target_group is shared


# Weights


def within(hits, calls, share):
    """Whether so many hits lie within the binomial distribution's two-sided 99.9 % interval."""
    probabilities = [
        math.exp(
            math.lgamma(calls + 1)
            - math.lgamma(k + 1)
            - math.lgamma(calls - k + 1)
            + k * math.log(share)
            + (calls - k) * math.log(1 - share)
        )
        for k in range(calls + 1)
    ]
    below, above = sum(probabilities[: hits + 1]), sum(probabilities[hits:])
    return min(below, above) > 0.0005


def test_the_interval_is_one():
    assert within(9_000, 10_000, 0.9)
    assert within(9_090, 10_000, 0.9)
    assert not within(9_120, 10_000, 0.9)
    assert not within(8_880, 10_000, 0.9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ten_thousand_requests_go_by_the_weights(lattice, seed):
    blue, green = lattice.add_target_group("blue"), lattice.add_target_group("green")
    action = Forward(((blue, 90), (green, 10)))
    draw = random.Random(seed).random
    counts = Counter(action.choose(draw).name for _ in range(10_000))
    assert counts.total() == 10_000
    assert within(counts["blue"], 10_000, 0.9)


def test_requests_go_by_the_weights_the_same_way_in_every_run():
    def run():
        lattice = LocalLattice(seed=11)
        orders = lattice.add_service("orders", domain=HOST, auth_type="NONE")
        groups = [lattice.add_target_group(name, named(name)) for name in ("blue", "green")]
        orders.otherwise.forward_to(dict(zip(groups, (90, 10), strict=True)))
        return [answer(lattice) for _ in range(300)]

    first = run()
    assert within(first.count("blue"), 300, 0.9)
    assert run() == first


@pytest.mark.parametrize("draw", [0.0, 0.5, math.nextafter(1.0, 0.0), 1.0])
def test_a_weight_of_zero_gets_nothing(lattice, draw):
    groups = [lattice.add_target_group(name) for name in ("zero", "all", "none")]
    action = Forward(tuple(zip(groups, (0, 7, 0), strict=True)))
    assert action.choose(lambda: draw).name == "all"


def test_a_changed_weight_counts_from_the_next_call_on_and_fails_none(lattice):
    blue = lattice.add_target_group("blue", named("blue"))
    green = lattice.add_target_group("green", named("green"))
    rule = lattice.service("orders").otherwise.forward_to({blue: 100, green: 0})
    with serve(lattice) as running, httpx.Client() as client:

        def call(_=None):
            response = client.get(running.url)
            assert response.status_code == 200
            return response.text

        with ThreadPoolExecutor(4) as threads:
            calls = threads.map(call, range(200))
            for _ in range(20):
                rule.forward_to({blue: 0, green: 100})
                assert call() == "green"
                rule.forward_to({blue: 100, green: 0})
                assert call() == "blue"
            assert set(calls) <= {"blue", "green"}
    assert {record["responseCode"] for record in lattice.access_log} == {200}


def test_what_targets_get_names_their_group(lattice):
    group = lattice.add_target_group("blue", lattice.service("orders").target)
    assert group.targets[0].app is lattice.service("orders").target
    echoing = LocalLattice()
    echoing.add_service("orders", domain=HOST, auth_type="NONE")
    seen = dict(fetch(echoing, request_for()).json()["headers"])
    arn = echoing.service("orders").target_group_arn
    assert seen["x-amzn-lattice-target"].endswith(f"TargetGroupArn={arn}")


def test_a_rule_says_what_it_is(lattice):
    rule = lattice.service("orders").when(prefix="/v2").respond(404)
    assert "priority 1" in repr(rule)
    assert "/v2" in repr(rule)
    assert "default" in repr(lattice.service("orders").otherwise)


def handler(event, context):
    """A Lambda handler."""


class WSGI:
    """A WSGI application, as Flask's are."""

    def __call__(self, environ, start_response):
        """The WSGI application."""


@pytest.mark.parametrize(
    ("target", "arguments"),
    [(handler, "event, context"), (WSGI(), "environ, start_response"), (LocalLattice, "region, ")],
    ids=["handler", "wsgi", "class"],
)
def test_what_is_called_otherwise_is_no_target(lattice, target, arguments):
    with pytest.raises(ConfigurationError) as caught:
        lattice.add_service("books", target=target)
    assert f"takes ({arguments}" in str(caught.value)
    assert "for a Lambda handler give LambdaTarget(handler)" in str(caught.value)
    assert "a WSGI application must be wrapped" in str(caught.value)


class Lazy:
    def __getattr__(self, name):
        raise RuntimeError("the settings are not configured")

    async def __call__(self, scope, receive, send):
        """Never called here."""


def test_an_empty_target_is_not_taken_for_none(lattice):
    with pytest.raises(ConfigurationError, match="not ''"):
        lattice.add_service("books", target="")


def test_where_no_signature_is_to_be_had_none_is_asked_for(lattice):
    lattice.add_service("books", target=Lazy())


def test_a_target_whose_application_does_not_say_its_name_has_a_repr(lattice):
    lazy = Lazy()
    group = lattice.add_target_group("blue", lazy, named("green"), LambdaTarget(lazy))
    assert list(map(repr, group.targets)) == [
        f"<Target {lazy!r}>",
        "<Target target>",
        "<Target <LambdaTarget handler>>",
    ]


def test_a_wrapper_is_asked_what_it_takes_itself(lattice):
    @functools.wraps(handler)
    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"wrapped"})

    for target in (app, functools.partial(app), Mock(side_effect=app)):
        lattice.service("orders").target = target
        assert answer(lattice) == "wrapped"
    lattice.service("orders").target = LambdaTarget(handler)


def test_what_has_no_signature_may_be_a_target(lattice):
    blue = named("blue")
    blue.__signature__ = "none to be had"
    lattice.service("orders").target = blue
    assert answer(lattice) == "blue"


def test_no_target_is_an_error(lattice):
    with pytest.raises(ConfigurationError, match="a target is an ASGI application or a URL"):
        lattice.service("orders").otherwise.forward_to(42)
