"""The clock that learns from refusals."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from lattice_client.clock import Clock


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


@pytest.mark.parametrize("off", [600, -600, 31, 3 * 86_400])
def test_learns_how_far_it_is_off(clock, system, off):
    assert clock.learn(at(system.now + off))
    assert clock.offset == off
    assert clock.now() == system.now + off
    # The same again is nothing new: whoever asks need not try again.
    assert not clock.learn(at(system.now + off))


@pytest.mark.parametrize("off", [0, 29, -29])
def test_whole_seconds_and_travel_are_no_difference(clock, system, off):
    assert not clock.learn(at(system.now + off))
    assert clock.offset == 0


def test_unlearns_when_the_system_is_right_again(clock, system):
    clock.learn(at(system.now + 600))
    system.now += 600
    assert clock.learn(at(system.now + 1))
    assert clock.offset == 0


@pytest.mark.parametrize(
    "date",
    [None, "", "yesterday", "Sat, 99 Nov 2026 10:00:00 GMT", at(0), at(4_000_000_000), "1" * 5000],
)
def test_nonsense_changes_nothing(clock, date):
    assert not clock.learn(date)
    assert clock.offset == 0


def test_its_repr_says_the_offset(clock, system):
    clock.learn(at(system.now - 600))
    assert repr(clock) == "Clock(offset=-600)"
