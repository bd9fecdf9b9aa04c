"""The clock of each host, as learned from refusals."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from lattice_client._auth.clock import Clock

HOST = "orders.internal.example.com"


class System:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def system():
    return System()


@pytest.fixture
def clock(system):
    return Clock(system)


def at(seconds: float) -> str:
    return formatdate(seconds, usegmt=True)


WEEK = 7 * 86_400


@pytest.mark.parametrize("off", [600, -600, 31, -31, 3 * 86_400, WEEK - 1, WEEK, -WEEK])
def test_learns_how_far_it_is_off(clock, system, off):
    clock.learn(HOST, at(system.now + off))
    assert clock.offset(HOST) == off


@pytest.mark.parametrize("off", [WEEK + 1, -WEEK - 1])
def test_more_than_a_week_is_not_believed(clock, system, off):
    clock.learn(HOST, at(system.now + off))
    assert clock.offsets == {}


@pytest.mark.parametrize("off", [0, 30, -30])
def test_whole_seconds_and_travel_are_no_difference(clock, system, off):
    clock.learn(HOST, at(system.now + off))
    assert clock.offsets == {}


def test_one_hosts_time_is_not_anothers(clock, system):
    clock.learn(HOST, at(system.now + 6 * 86_400))
    assert clock.offset("payments.internal.example.com") == 0
    assert clock.offsets == {HOST: 6 * 86_400}


def test_unlearns_when_the_system_is_right_again(clock, system):
    clock.learn(HOST, at(system.now + 600))
    system.now += 600
    clock.learn(HOST, at(system.now + 1))
    assert clock.offsets == {}


def test_a_little_less_is_nothing_new(clock, system):
    clock.learn(HOST, at(system.now + 600))
    clock.learn(HOST, at(system.now + 570))
    assert clock.offset(HOST) == 600
    clock.learn(HOST, at(system.now + 569))
    assert clock.offset(HOST) == 569


def test_forgets_what_proved_wrong(clock, system):
    clock.learn(HOST, at(system.now + 600))
    clock.forget(HOST, 300)  # another one has been learned since
    assert clock.offset(HOST) == 600
    clock.forget(HOST, 600)
    assert clock.offsets == {}


def test_forgets_the_oldest_of_many(clock, system):
    for number in range(300):
        clock.learn(f"host-{number}", at(system.now + 600))
    assert len(clock.offsets) == 256
    assert clock.offset("host-43") == 0
    assert clock.offset("host-44") == 600


@pytest.mark.parametrize(
    "date",
    [None, "", "yesterday", "Sat, 99 Nov 2026 10:00:00 GMT", at(0), at(4_000_000_000), "1" * 5000],
)
def test_nonsense_changes_nothing(clock, system, date):
    clock.learn(HOST, at(system.now + 600))
    clock.learn(HOST, date)
    assert clock.offset(HOST) == 600


def test_its_repr_names_no_host(clock, system):
    clock.learn(HOST, at(system.now - 600))
    assert repr(clock) == "Clock(1 hosts with an offset)"
