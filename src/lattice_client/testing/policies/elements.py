"""The elements of a statement, and whether each of them matches a request.

Sources: the pages "AWS JSON policy elements: Principal", "… NotPrincipal", "… Action",
"… Resource" and "… Condition" of the IAM User Guide.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from lattice_client.testing.policies.keys import find_key
from lattice_client.testing.policies.operators import Matcher, Operator
from lattice_client.testing.policies.request import PolicyPrincipal, PolicyRequest
from lattice_client.testing.policies.variables import Lookup, PolicyString
from lattice_client.testing.wildcards import wildcard_match

__all__ = [
    "ActionElement",
    "Condition",
    "Mismatch",
    "PrincipalElement",
    "ResourceElement",
    "Statement",
]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a statement does not apply: the first element that fails, and how."""

    element: str
    why: str

    def __str__(self) -> str:
        return f"{self.element}: {self.why}"


@dataclass(frozen=True, slots=True)
class PrincipalElement:
    """``Principal``, or ``NotPrincipal`` if ``negated``.

    :param values: as in the policy, but accounts by their id, and with the kind as a prefix where
        it is not ``AWS``.
    """

    values: tuple[str, ...]
    negated: bool = False

    @property
    def name(self) -> str:
        return "NotPrincipal" if self.negated else "Principal"

    def mismatch(self, caller: PolicyPrincipal | None, *, allow: bool) -> str | None:
        """Why it does not match a caller (None for an anonymous one); None if it does."""
        if not self.negated and "*" in self.values:
            return None
        names = _names(caller)
        if not self.negated:
            if not names.isdisjoint(self.values):
                return None
            return f"{_display_name(caller)} is not among {_list(self.values)}"
        if allow:
            named = "*" in self.values or not names.isdisjoint(self.values)
        else:
            # "You must also specify the account ARN of the not-denied principal": AWS checks the
            # account, the role and the session in turn.
            named = "*" in self.values or (bool(names) and names.issubset(self.values))
        return f"{_display_name(caller)} is among {_list(self.values)}" if named else None


def _names(caller: PolicyPrincipal | None) -> set[str]:
    """The values of ``Principal`` that name a caller."""
    if caller is None:
        return set()
    if caller.type == "Account":
        return {caller.account}
    return {caller.account, caller.principal_arn, caller.arn}


def _display_name(caller: PolicyPrincipal | None) -> str:
    return "an anonymous caller" if caller is None else caller.arn


@dataclass(frozen=True, slots=True)
class ActionElement:
    """``Action``, or ``NotAction`` if ``negated``."""

    values: tuple[str, ...]
    negated: bool = False

    @property
    def name(self) -> str:
        return "NotAction" if self.negated else "Action"

    def mismatch(self, action: str) -> str | None:
        """Why it does not match an action; None if it does. Case makes no difference."""
        if not self.negated and "*" in self.values:
            return None
        named = _is_among(action, self.values)
        if named is not self.negated:
            return None
        return f"{action} is {'among' if named else 'not among'} {_list(self.values)}"


@lru_cache(maxsize=256)
def _is_among(action: str, values: tuple[str, ...]) -> bool:
    return any(wildcard_match(value.lower(), action.lower()) for value in values)


@dataclass(frozen=True, slots=True)
class ResourceElement:
    """``Resource``, or ``NotResource`` if ``negated``."""

    values: tuple[str, ...]
    strings: tuple[PolicyString, ...] = field(repr=False)
    negated: bool = False

    @property
    def name(self) -> str:
        return "NotResource" if self.negated else "Resource"

    def mismatch(self, request: PolicyRequest) -> str | None:
        """Why it does not match a request's resource; None if it does."""
        if not self.negated and "*" in self.values:
            return None
        resource = request.resource
        patterns = [string.pattern(request.values) for string in self.strings]
        if self.negated and None in patterns:
            return self._missing_value(request)
        named = True in [pattern is not None and pattern.matches(resource) for pattern in patterns]
        if named is not self.negated:
            return None
        if None in patterns:
            return self._missing_value(request)
        return f"{_short(resource)} is {'among' if named else 'not among'} {_list(self.values)}"

    def _missing_value(self, request: PolicyRequest) -> str:
        for value, string in zip(self.values, self.strings, strict=True):
            if string.pattern(request.values) is None:
                return f"a policy variable in {_short(value)} has no value in this request"
        raise AssertionError  # Callers have found one.


# The reason why a statement does not apply never shows the values of these keys.
_SECRET_KEYS = {
    "vpc-lattice-svcs:requestheader/authorization",
    "vpc-lattice-svcs:requestheader/cookie",
    "vpc-lattice-svcs:requestheader/proxy-authorization",
    "vpc-lattice-svcs:requestheader/x-amz-security-token",
    "vpc-lattice-svcs:requestquerystring/x-amz-security-token",
    "vpc-lattice-svcs:requestquerystring/x-amz-signature",
}

# "Any attempt to match it fails and causes the statement to be invalid."
_NO_VALUE = "a policy variable has no value in this request"


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator, one key and the values it is compared with."""

    operator: Operator
    key: str
    values: tuple[str, ...]
    matchers: tuple[Matcher, ...] = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        return f"Condition.{self.operator.name}"

    def mismatch(self, request: PolicyRequest) -> str | None:
        """Why it does not hold for a request; None if it does."""
        operator, actual = self.operator, request.values(self.key)
        if operator.base == "Null":
            missing = actual is None or self._is_empty_set(actual)
            if self._matches_any("true" if missing else "false", request.values):
                return None
            return f"{self.key} is {'not there' if missing else 'there'}"
        skipped = operator.if_exists and actual is None
        if operator.negated and not skipped and not self._can_match(request.values):
            return _NO_VALUE
        if actual is None:
            return self._mismatch_without_value()
        if operator.quantifier is not None:
            # "An empty data set (for example, an empty string)" counts as no value.
            actual = tuple(value for value in actual if value)
            if not actual:
                holds = operator.quantifier == "ForAllValues"
                return None if holds else f"{self.key} is empty"
        return self._compare(actual, request)

    def _is_empty_set(self, actual: tuple[str, ...]) -> bool:
        """Whether the key is multivalued, and all its values are empty.

        ``Null`` asks whether it "exists and its value is not null" ("Condition operators", IAM User
        Guide).
        """
        key = find_key(self.key)
        several = len(actual) != 1 or (key is not None and key.many)
        return several and not any(actual)

    def _can_match(self, lookup: Lookup) -> bool:
        """Whether every policy variable in the condition's values has a value."""
        return all(matcher("", lookup) is not None for matcher in self.matchers)

    def _mismatch_without_value(self) -> str | None:
        operator = self.operator
        if operator.if_exists or operator.quantifier == "ForAllValues":
            return None
        if operator.negated and operator.quantifier is None:
            return None
        return f"{self.key} is not there"

    def _compare(self, actual: tuple[str, ...], request: PolicyRequest) -> str | None:
        operator = self.operator
        matched = [self._matches_any(value, request.values) for value in actual]
        holding = [bool(one) is not operator.negated for one in matched]
        if operator.quantifier == "ForAnyValue" or (
            operator.quantifier is None and not operator.negated
        ):
            holds = any(holding)
        else:
            holds = all(holding)
        if holds:
            return None
        if None in matched:
            return _NO_VALUE
        return f"{self.key} is {self._shown(actual)}, compared with {_list(self.values)}"

    def _matches_any(self, value: str, lookup: Lookup) -> bool | None:
        """Whether a value of the request matches one of the policy's.

        None if it matches none of them, and a variable in one has no value.
        """
        found: bool | None = False
        for matcher in self.matchers:
            matches = matcher(value, lookup)
            if matches:
                return True
            if matches is None:
                found = None
        return found

    def _shown(self, actual: tuple[str, ...]) -> str:
        return "hidden" if self.key.lower() in _SECRET_KEYS else _list(actual)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy.

    :param place: its place in the document, such as ``Statement[2]``.
    :param sid: its ``Sid``, if it has one.
    :param principal: None in an identity policy, which applies to its role or user.
    """

    place: str
    sid: str | None
    allow: bool
    principal: PrincipalElement | None
    action: ActionElement
    resource: ResourceElement
    conditions: tuple[Condition, ...] = ()

    def __str__(self) -> str:
        sid = f' "{self.sid}"' if self.sid else ""
        return f"{self.place}{sid} ({'Allow' if self.allow else 'Deny'})"

    def mismatch(self, request: PolicyRequest) -> Mismatch | None:
        """Why it does not apply to a request: the first element that fails; None if it does."""
        if self.principal is not None:
            why = self.principal.mismatch(request.caller, allow=self.allow)
            if why is not None:
                return Mismatch(self.principal.name, why)
        why = self.action.mismatch(request.action)
        if why is not None:
            return Mismatch(self.action.name, why)
        why = self.resource.mismatch(request)
        if why is not None:
            return Mismatch(self.resource.name, why)
        for condition in self.conditions:
            why = condition.mismatch(request)
            if why is not None:
                return Mismatch(condition.name, why)
        return None


_MAX_LISTED, _MAX_CHARACTERS = 4, 120


def _list(values: tuple[str, ...]) -> str:
    shown = ", ".join(_short(value) for value in values[:_MAX_LISTED])
    more = len(values) - _MAX_LISTED
    return f"{shown} and {more} more" if more > 0 else shown


def _short(text: str) -> str:
    """A value for messages: quoted, and cut to about a line."""
    if len(text) > _MAX_CHARACTERS:
        return f"{text[:_MAX_CHARACTERS]!r}…"
    return repr(text)
