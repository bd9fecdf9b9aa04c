"""The benchmarks run and report; nothing here says how long anything may take."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))  # benchmarks/ is no part of what is installed

from benchmarks import credentials as provided  # noqa: E402
from benchmarks import (  # noqa: E402
    local_lattice,
    many_hosts,
    memory,
    requests_on_loopback,
    scenarios,
    tail,
)
from benchmarks.__main__ import write  # noqa: E402
from benchmarks.cheap_server import cheap_server  # noqa: E402
from benchmarks.contenders import (  # noqa: E402
    FLOOR,
    OURS,
    Contender,
    available,
    credentials,
    lattice_accepts,
)
from benchmarks.figures import Figures  # noqa: E402
from benchmarks.goals import Goal, check  # noqa: E402
from benchmarks.peers import BOTOCORE, CRT, contenders  # noqa: E402
from benchmarks.rounds import Rounds, Spread, measure  # noqa: E402
from benchmarks.tables import as_text, tables  # noqa: E402


@pytest.fixture(scope="module")
def origin():
    with cheap_server() as origin:
        yield origin


@pytest.fixture(scope="module")
def there():
    found, _ = contenders()
    return {name: found[name] for name in (OURS, FLOOR, BOTOCORE, CRT)}


def test_ratios_are_taken_within_the_round():
    rounds = Rounds([{"a": 1.0, "b": 2.0}, {"a": 10.0, "b": 10.0}, {"a": 1.0, "b": 3.0}])
    assert rounds.ratio("b", "a").median == 2.0
    assert rounds.difference("b", "a").median == 1.0
    assert rounds.seconds("a") == Spread(1.0, 1.0, 5.5)


def test_every_burst_runs_once_in_each_round_and_the_order_changes():
    calls = []

    def burst(name):
        calls.append(name)
        return 1.0

    names = ["a", "b", "c"]
    rounds = measure({name: lambda name=name: burst(name) for name in names}, 8)
    assert [each.keys() == set(names) for each in rounds.rounds] == [True] * 8
    orders = {tuple(calls[i : i + 3]) for i in range(0, len(calls), 3)}
    assert all(sorted(order) == names for order in orders)
    assert len(orders) > 1


def test_a_contender_that_fails_is_named_with_its_reason():
    class Broken(Contender):
        name = "broken"

        def __init__(self, credentials):
            raise RuntimeError("has no wheel")

    assert available([Broken]) == ({}, {"broken": "RuntimeError: has no wheel"})


@pytest.mark.parametrize("name", [OURS, BOTOCORE, CRT])
@pytest.mark.parametrize("scenario", scenarios.SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_is_measured_is_a_signature_that_lattice_takes(there, name, scenario):
    contender = there[name](credentials(token_length=scenario.token))
    accepted = lattice_accepts(contender, scenario.target(7), scenario.own_headers(7))
    # botocore signs a query as it stands.
    assert accepted == ((name, scenario.name) != (BOTOCORE, scenarios.RAW_QUERY))


@pytest.mark.parametrize("scenario", scenarios.SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_scenario_measures(there, origin, scenario):
    measured = scenarios.run(scenario, there, 2, origin)
    assert OURS in measured.names
    assert all(seconds > 0 for each in measured.rounds for seconds in each.values())


def test_a_run_is_written_down(there, origin, tmp_path):
    figures = Figures()
    for scenario in scenarios.SCENARIOS[:3]:
        figures.signing[scenario.name] = scenarios.run(scenario, there, 2, origin)
    figures.requests, _ = requests_on_loopback.run(origin, 1)
    assert set(figures.requests) == set(requests_on_loopback.LIBRARIES)
    figures.hosts = many_hosts.run(1)
    figures.memory = memory.run(100)
    figures.tail = tail.run(5)
    figures.credentials = provided.run(2)
    figures.missing["somebody"] = "was not installed"
    goals = [goal.as_json() for goal in check(figures)]
    found = figures.as_json() | {"goals": goals}

    assert {goal["verdict"] for goal in goals} <= {"reached", "missed", "not measured"}
    text = "\n".join(map(as_text, tables(found)))
    assert "was not installed" in text

    write(found, tmp_path)
    (data,) = tmp_path.glob("benchmarks/*.json")
    assert json.loads(data.read_text()) == json.loads(json.dumps(found))
    (picture,) = tmp_path.glob("benchmarks/*.svg")
    assert ET.parse(picture).getroot().tag.endswith("svg")
    page = (tmp_path / "performance.md").read_text()
    for word in ("ours / floor", picture.name, "Where a peer is better", "was not installed"):
        assert word in page
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(str(ROOT) in each or "127.0.0.1" in each for each in written)


@pytest.mark.parametrize(
    ("sense", "measured", "verdict"),
    [
        ("at most", 2.0, "reached"),
        ("at most", 2.1, "missed"),
        ("at least", 2.0, "reached"),
        ("at least", 1.9, "missed"),
        ("at most", None, "not measured"),
    ],
)
def test_a_goal_is_reached_or_missed(sense, measured, verdict):
    assert Goal("ours / floor", sense, 2.0, measured).verdict == verdict


def test_memory_counts_what_a_signer_keeps_and_nothing_that_it_shares():
    token = "t" * 1000
    assert memory.size_of([token], token) == sys.getsizeof([token])
    assert memory.size_of({"a": token, "b": token}) < 2 * sys.getsizeof(token)
    kept = memory.run(1000)
    assert 0 < kept.fresh < kept.after_first <= kept.most
    assert kept.after_all <= kept.most


def test_the_local_lattice_is_measured_beside_a_bare_application():
    measured = local_lattice.measure(80, 1)
    assert set(measured) == {"bare", "lattice"}
    assert all(each.per_second > 0 and each.processor_us >= 0 for each in measured.values())
    started = local_lattice.start_up(1)
    assert started["process"] > started["serving"] > 0
