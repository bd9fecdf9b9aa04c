"""Listener rules: conditions on requests, and the actions for those that match.

Source: "Listener rules for your VPC Lattice service" (VPC Lattice User Guide) and the API reference
of ``CreateRule``: priorities are 1 to 100, the lowest comes first, the default rule last; weights
are 0 to 999; a fixed response is 404 or 500; methods match in their case, paths and header values
in any case unless the rule says otherwise. Not published, and so inferred: a path is compared as
sent, without the query and with its escapes; a prefix is one of characters, not of segments; of a
header that is sent more than once, one value must match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypedDict

from lattice_client.errors import ConfigurationError
from lattice_client.testing.asgi import ASGIApp
from lattice_client.testing.model.target_groups import TargetGroup
from lattice_client.testing.numbers import is_integer
from lattice_client.testing.verification.signature import WireRequest

__all__ = [
    "Action",
    "Condition",
    "Conditions",
    "FixedResponse",
    "Forward",
    "HeaderMatch",
    "Match",
    "Rule",
    "Rules",
    "Targets",
]

_PATH = r"/[a-zA-Z0-9@:%_+.~#?&/=-]{0,127}"
_METHOD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,16}"
_MAX_PRIORITY: Final = 100
_MAX_WEIGHT: Final = 999
_MAX_HEADERS: Final = 5
_MAX_HEADER_NAME: Final = 40
_MAX_HEADER_VALUE: Final = 128
_FIXED_STATUSES: Final = (404, 500)
_HEADERS_FORM: Final = (
    "headers must be a mapping of names to values, or a list of HeaderMatch objects"
)


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """A condition on a header; give one of ``exact``, ``prefix`` and ``contains``.

    :param case_sensitive: for the value; a name matches in any case.
    :raises ConfigurationError: if none or more than one is given, or Lattice's limits are exceeded.
    """

    name: str
    exact: str | None = None
    prefix: str | None = None
    contains: str | None = None
    case_sensitive: bool = False

    def __post_init__(self) -> None:
        _check_text("a header's name", self.name)
        if not 1 <= len(self.name) <= _MAX_HEADER_NAME:
            raise ConfigurationError(
                f"a header's name must have 1 to 40 characters, not {self.name!r}"
            )
        given = [v for v in (self.exact, self.prefix, self.contains) if v is not None]
        if len(given) != 1:
            raise ConfigurationError(
                f"give one of exact, prefix and contains for the header {self.name!r}"
            )
        _check_text(f"the value for the header {self.name!r}", given[0])
        if not 1 <= len(given[0]) <= _MAX_HEADER_VALUE:
            raise ConfigurationError(
                f"the value for the header {self.name!r} must have 1 to 128 characters"
            )

    def matches(self, request: WireRequest) -> bool:
        """Whether the request has a matching header."""
        return any(
            self._matches_value(value.decode("latin-1"))
            for value in request.by_name.get(self.name.lower(), ())
        )

    def _matches_value(self, value: str) -> bool:
        fold = _unchanged if self.case_sensitive else str.lower
        value = fold(value)
        if self.exact is not None:
            return value == fold(self.exact)
        if self.prefix is not None:
            return value.startswith(fold(self.prefix))
        return fold(self.contains or "") in value


@dataclass(frozen=True, slots=True)
class Match:
    """Conditions on a request; all given ones must hold.

    :param path: the whole path.
    :param prefix: the beginning of the path.
    :param case_sensitive: for the path.
    :raises ConfigurationError: if nothing is given, or Lattice would refuse a condition.
    """

    path: str | None = None
    prefix: str | None = None
    method: str | None = None
    headers: tuple[HeaderMatch, ...] = ()
    case_sensitive: bool = False

    def __post_init__(self) -> None:
        for name in ("path", "prefix", "method"):
            if (value := getattr(self, name)) is not None:
                _check_text(f"a rule's {name}", value)
        for header in self.headers:
            if not isinstance(header, HeaderMatch):
                raise ConfigurationError(f"{_HEADERS_FORM}, not {header!r}")
        if self.path is not None and self.prefix is not None:
            raise ConfigurationError("a rule has a path or a prefix, not both")
        path = self.path if self.prefix is None else self.prefix
        if path is not None and not re.fullmatch(_PATH, path):
            raise ConfigurationError(
                f"{path!r} is not a path for a rule: '/' and up to 127 of a-z, A-Z, 0-9 and "
                "@:%_+.~#?&/=-, without wildcards"
            )
        if self.method is not None and not re.fullmatch(_METHOD, self.method):
            raise ConfigurationError(f"{self.method!r} is not a method")
        if len(self.headers) > _MAX_HEADERS:
            raise ConfigurationError(f"a rule has at most {_MAX_HEADERS} conditions on headers")
        if path is None and self.method is None and not self.headers:
            raise ConfigurationError("a rule needs a condition: path, prefix, method or headers")

    def matches(self, request: WireRequest) -> bool:
        """Whether the request meets the conditions."""
        if self.method is not None and request.method != self.method:
            return False
        fold = _unchanged if self.case_sensitive else str.lower
        path = fold(request.path.decode("latin-1"))
        if self.path is not None and path != fold(self.path):
            return False
        if self.prefix is not None and not path.startswith(fold(self.prefix)):
            return False
        return all(header.matches(request) for header in self.headers)


@dataclass(frozen=True, slots=True)
class FixedResponse:
    """Lattice answers itself. The body here is the status's phrase.

    :raises ConfigurationError: if ``status`` is neither 404 nor 500.
    """

    status: int

    def __post_init__(self) -> None:
        if not is_integer(self.status) or self.status not in _FIXED_STATUSES:
            raise ConfigurationError(f"a fixed response is 404 or 500, not {self.status!r}")


@dataclass(frozen=True, slots=True)
class Forward:
    """Forward to one of the target groups, by their weights.

    :raises ConfigurationError: if there are none, a weight is not 0 to 999, or all are 0.
    """

    weights: tuple[tuple[TargetGroup, int], ...]

    def __post_init__(self) -> None:
        if not self.weights:
            raise ConfigurationError("there must be a target group to forward to")
        for group, weight in self.weights:
            if not isinstance(group, TargetGroup):
                raise ConfigurationError(
                    f"weights must be those of target groups, not of {group!r}; "
                    "lattice.target_group(name) returns one by its name"
                )
            if not is_integer(weight) or not 0 <= weight <= _MAX_WEIGHT:
                raise ConfigurationError(
                    f"the weight of {group.name!r} must be 0 to {_MAX_WEIGHT}, not {weight!r}"
                )
        if not sum(weight for _, weight in self.weights):
            raise ConfigurationError("the weights of a rule must not all be 0")

    def choose(self, draw: Callable[[], float]) -> TargetGroup:
        """One of the groups. ``draw`` returns a random number from 0 up to 1, without 1."""
        if len(self.weights) == 1:
            return self.weights[0][0]
        left = draw() * sum(weight for _, weight in self.weights)
        for group, weight in self.weights:
            left -= weight
            if left < 0:
                return group
        return next(group for group, weight in reversed(self.weights) if weight)


Action: TypeAlias = Forward | FixedResponse
#: A target group, or the only target of one: an ASGI application, or the URL of a service.
Targets: TypeAlias = TargetGroup | ASGIApp | str


class Rule:
    """A rule of a listener; made by ``when``. Its action can be changed at any time.

    :param priority: None for the default rule.
    """

    def __init__(
        self,
        owner: Rules,
        match: Match | None,
        action: Action,
        *,
        priority: int | None,
    ) -> None:
        self._owner = owner
        self.match = match
        self.action = action
        self.priority = priority

    def __repr__(self) -> str:
        place = "default" if self.priority is None else f"priority {self.priority}"
        return f"<Rule {place}, {self.match}, {self.action}>"

    def forward_to(self, *groups: Targets | Mapping[TargetGroup, int]) -> Rule:
        """Forward to these from the next request on.

        :param groups: what to forward to, in equal shares; or one mapping of target groups to
            their weights.
        :raises ConfigurationError: if a weight is not 0 to 999, or all are 0.
        """
        self.action = self._owner.forward(groups)
        return self

    def respond(self, status: Literal[404, 500]) -> Rule:
        """Answer with this status from the next request on.

        :raises ConfigurationError: if it is neither 404 nor 500.
        """
        self.action = FixedResponse(status)
        return self


class Conditions(TypedDict, total=False):
    """The arguments of ``Rules.when``, for functions that pass them on."""

    path: str | None
    prefix: str | None
    method: str | None
    headers: Mapping[str, str] | Sequence[HeaderMatch]
    case_sensitive: bool
    priority: int | None


class Condition:
    """A rule without an action: call ``forward_to`` or ``respond``."""

    def __init__(self, rules: Rules, match: Match, priority: int | None) -> None:
        self._rules = rules
        self._match = match
        self._priority = priority

    def forward_to(self, *groups: Targets | Mapping[TargetGroup, int]) -> Rule:
        """Forward such requests; the arguments are those of ``Rule.forward_to``."""
        return self._rules.add(self._match, self._rules.forward(groups), self._priority)

    def respond(self, status: Literal[404, 500]) -> Rule:
        """Answer such requests with this status."""
        return self._rules.add(self._match, FixedResponse(status), self._priority)


class Rules:
    """The rules of a listener, by priority, and its default rule.

    :param make_group: makes a target group from a target and a name.
    :param default: the default rule's action.
    """

    def __init__(
        self, make_group: Callable[[Targets, str | None], TargetGroup], default: Action
    ) -> None:
        self._make_group = make_group
        self._rules: tuple[Rule, ...] = ()
        #: The default rule.
        self.otherwise = Rule(self, None, default, priority=None)

    def __iter__(self) -> Iterator[Rule]:
        return iter((*self._rules, self.otherwise))

    def when(
        self,
        *,
        path: str | None = None,
        prefix: str | None = None,
        method: str | None = None,
        headers: Mapping[str, str] | Sequence[HeaderMatch] = (),
        case_sensitive: bool = False,
        priority: int | None = None,
    ) -> Condition:
        """Begin a rule: ``rules.when(prefix="/v2").forward_to(new)``.

        :param path: the whole path.
        :param prefix: the beginning of the path.
        :param headers: names and whole values, or ``HeaderMatch`` objects.
        :param case_sensitive: for the path.
        :param priority: 1 to 100, the lowest first; by default the next free one after the last.
        :raises ConfigurationError: if Lattice would refuse the condition, or the priority is taken.
        """
        match = Match(path, prefix, method, _header_matches(headers), case_sensitive)
        return Condition(self, match, priority)

    def add(self, match: Match, action: Action, priority: int | None = None) -> Rule:
        """Add a rule with the arguments of ``when``."""
        taken = {rule.priority for rule in self._rules}
        if priority is None:
            priority = (self._rules[-1].priority or 0) + 1 if self._rules else 1
        if not is_integer(priority) or not 1 <= priority <= _MAX_PRIORITY:
            raise ConfigurationError(f"a priority must be 1 to {_MAX_PRIORITY}, not {priority!r}")
        if priority in taken:
            raise ConfigurationError(f"there is a rule of priority {priority} already")
        rule = Rule(self, match, action, priority=priority)
        # Replaced at once: requests in other threads iterate over it.
        self._rules = tuple(sorted((*self._rules, rule), key=lambda rule: rule.priority or 0))
        return rule

    def remove(self, rule: Rule) -> None:
        """Remove a rule from the next request on. The default rule stays."""
        self._rules = tuple(kept for kept in self._rules if kept is not rule)

    def find(self, request: WireRequest) -> Rule:
        """The first rule that matches a request, or the default rule."""
        for rule in self._rules:
            if rule.match is None or rule.match.matches(request):
                return rule
        return self.otherwise

    def forward(self, groups: tuple[Targets | Mapping[TargetGroup, int], ...]) -> Forward:
        """An action that forwards to ``groups``."""
        weights: list[tuple[TargetGroup, int]] = []
        for group in groups:
            if isinstance(group, Mapping):
                weights += group.items()
            else:
                weights.append((self._make_group(group, None), 1))
        return Forward(tuple(weights))


def _header_matches(headers: Mapping[str, str] | Sequence[HeaderMatch]) -> tuple[HeaderMatch, ...]:
    if isinstance(headers, Mapping):
        return tuple(HeaderMatch(name, exact=value) for name, value in headers.items())
    if not isinstance(headers, Sequence):
        raise ConfigurationError(f"{_HEADERS_FORM}, not {headers!r}")
    return tuple(headers)


def _check_text(what: str, value: object) -> None:
    if not isinstance(value, str):
        raise ConfigurationError(f"{what} must be a string, not {value!r}")


def _unchanged(text: str) -> str:
    return text
