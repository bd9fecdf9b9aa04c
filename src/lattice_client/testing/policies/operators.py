"""The condition operators: comparison of a request's value with a policy's.

Source: "IAM JSON policy elements: Condition operators" (IAM User Guide).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from lattice_client.testing.policies.variables import Lookup, PolicyString

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["Family", "Matcher", "Operator", "Quantifier", "find_operator"]

Family: TypeAlias = Literal[
    "String", "Numeric", "Date", "Bool", "Binary", "IpAddress", "Arn", "Null"
]
Quantifier: TypeAlias = Literal["ForAllValues", "ForAnyValue"]
Matcher: TypeAlias = Callable[[str, Lookup], bool | None]
"""Compares a request's value with a policy's; None if a variable in the latter has no value."""

_Reader: TypeAlias = Callable[[str, bool], Matcher]


@dataclass(frozen=True, slots=True)
class Operator:
    """A condition operator as a policy writes it: quantifier, base and ``IfExists``.

    :param negated: whether it holds if nothing matches, as ``StringNotEquals`` does.
    """

    name: str
    base: str
    family: Family
    negated: bool
    quantifier: Quantifier | None
    if_exists: bool

    def matcher(self, value: str, *, variables: bool) -> Matcher:
        """The comparison with ``value``, without the negation.

        :raises ValueError: if this operator cannot compare with ``value``.
        """
        return _BASES[self.base][2](value, variables)


def find_operator(name: str) -> Operator:
    """The operator of that name.

    :raises ValueError: if there is none.
    """
    quantifier, colon, base = name.rpartition(":")
    if_exists = base.endswith("IfExists")
    base = base.removesuffix("IfExists")
    if base not in _BASES or (colon and quantifier not in ("ForAllValues", "ForAnyValue")):
        near = {known.lower(): known for known in _BASES}.get(base.lower())
        hint = f"; did you mean {near}?" if near is not None and near != base else ""
        raise ValueError(f"{name!r} is not a condition operator{hint}")
    if base == "Null" and (if_exists or colon):
        raise ValueError(
            "Null takes neither IfExists nor a set operator: it tests existence itself"
        )
    family, negated, _ = _BASES[base]
    found: Quantifier | None = None
    if colon:
        found = "ForAllValues" if quantifier == "ForAllValues" else "ForAnyValue"
    return Operator(name, base, family, negated, found, if_exists)


# Strings


def _string_equals(value: str, variables: bool) -> Matcher:  # noqa: FBT001 - one shape for all
    string = PolicyString.read(value, variables=variables)

    def matches(actual: str, lookup: Lookup) -> bool | None:
        text = string.text(lookup)
        return None if text is None else actual == text

    return matches


def _string_equals_ignore_case(value: str, variables: bool) -> Matcher:  # noqa: FBT001 - as above
    string = PolicyString.read(value, variables=variables)

    def matches(actual: str, lookup: Lookup) -> bool | None:
        text = string.text(lookup)
        return None if text is None else actual.lower() == text.lower()

    return matches


def _string_like(value: str, variables: bool) -> Matcher:  # noqa: FBT001 - as above
    string = PolicyString.read(value, variables=variables)

    def matches(actual: str, lookup: Lookup) -> bool | None:
        pattern = string.pattern(lookup)
        return None if pattern is None else pattern.matches(actual)

    return matches


_ARN_PARTS = 6


def _arn_like(value: str, variables: bool) -> Matcher:  # noqa: FBT001 - as above
    parts = PolicyString.read(value, variables=variables).split(":", _ARN_PARTS - 1)
    if len(parts) != _ARN_PARTS or parts[0] != PolicyString(("arn",)):
        raise ValueError(f"{value!r} is not an ARN; write arn:partition:service:region:account:id")

    def matches(actual: str, lookup: Lookup) -> bool | None:
        patterns = [part.pattern(lookup) for part in parts]
        if None in patterns:
            return None
        actual_parts = actual.split(":", _ARN_PARTS - 1)
        return len(actual_parts) == _ARN_PARTS and all(
            pattern is not None and pattern.matches(part)
            for pattern, part in zip(patterns, actual_parts, strict=True)
        )

    return matches


# Typed values


def _typed(read: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> _Reader:
    def reader(value: str, variables: bool) -> Matcher:  # noqa: FBT001 - as above
        if variables and "${" in value:
            raise ValueError("policy variables are for string and ARN operators")
        expected = read(value)

        def matches(actual: str, _: Lookup) -> bool:
            try:
                return compare(read(actual), expected)
            except ValueError:
                return False  # The request's value has another type.

        return matches

    return reader


def _number(text: str) -> Decimal:
    from decimal import Decimal

    if not re.fullmatch(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)", text):
        raise ValueError(f"{text!r} is not a number")
    return Decimal(text)


_W3C_DATE = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"


def _date(text: str) -> datetime:
    """A date of "Date and Time Formats" (W3C), or seconds since the epoch."""
    try:
        if re.fullmatch(r"[0-9]{4}(?:-[0-9]{2})?", text):
            return datetime.fromisoformat(f"{text}-01-01"[:10]).replace(tzinfo=UTC)
        if re.fullmatch(r"-?[0-9]+(?:\.[0-9]+)?", text):
            return datetime.fromtimestamp(float(text), UTC)
        if re.fullmatch(_W3C_DATE, text, re.ASCII):
            date = datetime.fromisoformat(text)
            return date if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise ValueError(
        f"{text!r} is not a date; write it as 2026-11-21T09:30:00Z or in seconds since 1970"
    )


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text!r} is neither 'true' nor 'false'")
    return text.lower() == "true"


_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_MAPPED_PREFIX = 96


def _network(text: str) -> _Network:
    """A range of addresses. IPv4-mapped IPv6 addresses become the IPv4 addresses.

    Source: RFC 4291, section 2.5.5.2: "to represent the addresses of IPv4 nodes as IPv6 addresses",
    as dual-stack sockets report them. That IAM does the same is inferred; AWS's pages do not say.
    """
    address, slash, prefix = text.partition("/")
    # ipaddress also accepts masks and zones.
    plain = "%" not in address and prefix.isdecimal() == bool(slash)
    try:
        network = ipaddress.ip_network(text if plain else "", strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address or CIDR range") from None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_PREFIX:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_PREFIX))
    return network


def _in_network(actual: _Network, expected: _Network) -> bool:
    if isinstance(actual, ipaddress.IPv4Network):
        return isinstance(expected, ipaddress.IPv4Network) and actual.subnet_of(expected)
    return isinstance(expected, ipaddress.IPv6Network) and actual.subnet_of(expected)


def _binary_equals(value: str, variables: bool) -> Matcher:  # noqa: FBT001 - as above
    if variables and "${" in value:
        raise ValueError("policy variables are for string and ARN operators")
    try:
        expected = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{value!r} is not base64") from None
    return lambda actual, _: actual.encode("utf-8", "surrogateescape") == expected


def _null(value: str, variables: bool) -> Matcher:  # noqa: FBT001 - as above
    return _typed(_bool, operator.eq)(value, variables)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}

# By name: the family, whether it negates, and the reader of its values.
_BASES: dict[str, tuple[Family, bool, _Reader]] = {
    "StringEquals": ("String", False, _string_equals),
    "StringNotEquals": ("String", True, _string_equals),
    "StringEqualsIgnoreCase": ("String", False, _string_equals_ignore_case),
    "StringNotEqualsIgnoreCase": ("String", True, _string_equals_ignore_case),
    "StringLike": ("String", False, _string_like),
    "StringNotLike": ("String", True, _string_like),
    **{
        f"Numeric{name}": ("Numeric", False, _typed(_number, c)) for name, c in _COMPARISONS.items()
    },
    "NumericNotEquals": ("Numeric", True, _typed(_number, operator.eq)),
    **{f"Date{name}": ("Date", False, _typed(_date, c)) for name, c in _COMPARISONS.items()},
    "DateNotEquals": ("Date", True, _typed(_date, operator.eq)),
    "Bool": ("Bool", False, _typed(_bool, operator.eq)),
    "BinaryEquals": ("Binary", False, _binary_equals),
    "IpAddress": ("IpAddress", False, _typed(_network, _in_network)),
    "NotIpAddress": ("IpAddress", True, _typed(_network, _in_network)),
    # "ArnEquals and ArnLike behave identically."
    "ArnEquals": ("Arn", False, _arn_like),
    "ArnLike": ("Arn", False, _arn_like),
    "ArnNotEquals": ("Arn", True, _arn_like),
    "ArnNotLike": ("Arn", True, _arn_like),
    "Null": ("Null", False, _null),
}
