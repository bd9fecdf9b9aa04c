"""Reading policy documents: from JSON to statements, or an error that names the place.

Sources: "Grammar of the IAM JSON policy language" (IAM User Guide); "Control access to VPC Lattice
services using auth policies" and "Quotas for Amazon VPC Lattice" (VPC Lattice User Guide).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Self, TypeAlias

from lattice_client.errors import ConfigurationError
from lattice_client.testing.policies.elements import (
    ActionElement,
    Condition,
    PrincipalElement,
    ResourceElement,
    Statement,
)
from lattice_client.testing.policies.operators import find_operator
from lattice_client.testing.policies.values import (
    account_of,
    check_action,
    check_principal,
    check_resource,
    complete_arn,
)
from lattice_client.testing.policies.variables import PolicyString

__all__ = ["AuthPolicy", "IdentityPolicy", "Policy", "PolicyDocument", "PolicyError"]

PolicyDocument: TypeAlias = Mapping[str, Any] | str
"""A policy as JSON text, or as ``json.loads`` returns it."""

_Kind: TypeAlias = Literal["auth", "identity"]

_MAX_BYTES: Final = 10 * 1024
_VARIABLES_SINCE: Final = "2012-10-17"
_VERSIONS: Final = ("2008-10-17", _VARIABLES_SINCE)
_ELEMENTS: Final = {"Id", "Statement", "Version"}
_STATEMENT_ELEMENTS: Final = {
    "Action",
    "Condition",
    "Effect",
    "NotAction",
    "NotPrincipal",
    "NotResource",
    "Principal",
    "Resource",
    "Sid",
}


class PolicyError(ConfigurationError):
    """A policy that Lattice or IAM would refuse.

    :param place: where in the document, such as ``Statement[2].Condition.StringEquals`` (counted
        from 0); empty for the document as a whole.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}" if place else problem)
        self.place = place
        self.problem = problem

    def __reduce__(self) -> tuple[type[PolicyError], tuple[str, str]]:
        return type(self), (self.place, self.problem)


@dataclass(frozen=True, slots=True)
class Policy:
    """The statements of an auth policy or an identity policy.

    :param version: of the policy language. The default is IAM's: ``2008-10-17``, which has no
        policy variables.
    """

    statements: tuple[Statement, ...] = ()
    version: str = _VERSIONS[0]
    id: str | None = None

    _kind: ClassVar[_Kind]

    @classmethod
    def from_document(cls, document: PolicyDocument) -> Self:
        """Read an IAM JSON policy document.

        :raises PolicyError: (a ``ValueError``) if AWS would refuse it: it is over 10 KB (white
            space not counted), not JSON, or has an invalid element or value. The error names the
            place.
        """
        content = _parse(document) if isinstance(document, str) else _check_size(document)
        _check_elements("", content, _ELEMENTS)
        version = content.get("Version", _VERSIONS[0])
        if version not in _VERSIONS:
            raise PolicyError("Version", f"must be {' or '.join(_VERSIONS)}, not {version!r}")
        policy_id = content.get("Id")
        if "Id" in content and (cls._kind == "identity" or not isinstance(policy_id, str)):
            raise PolicyError("Id", "must be a string, and is for resource-based policies only")
        reader = _StatementReader(cls._kind, variables=version == _VARIABLES_SINCE)
        return cls(tuple(reader.read_all(content.get("Statement"))), version, policy_id)


@dataclass(frozen=True, slots=True)
class AuthPolicy(Policy):
    """The auth policy of a service network or a service. Without statements it denies all."""

    _kind: ClassVar[_Kind] = "auth"


@dataclass(frozen=True, slots=True)
class IdentityPolicy(Policy):
    """An IAM policy of a role or user: it has no principals, and may concern other services.

    Source: "Identity-based policies and resource-based policies" (IAM User Guide).
    """

    _kind: ClassVar[_Kind] = "identity"


def _parse(text: str) -> Mapping[str, Any]:
    try:
        content = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        problem = f"not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        raise PolicyError("", problem) from None
    except RecursionError:
        raise PolicyError("", "nested too deeply") from None
    except PolicyError:
        raise
    except ValueError as error:  # a number with too many digits
        raise PolicyError("", f"not JSON: {error}") from None
    return _check_size(content)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name, value in pairs:
        if name in content:
            raise PolicyError("", f"{name!r} is there twice in one object")
        content[name] = value
    return content


def _refuse_constant(name: str) -> None:
    raise PolicyError("", f"not JSON: {name}")


def _check_size(content: object) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise PolicyError("", "a policy must be an object")
    try:
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, default=_as_dict)
        size = len(text.encode())
    except RecursionError:
        raise PolicyError("", "nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise PolicyError("", f"cannot be written as JSON: {error}") from None
    if size > _MAX_BYTES:
        raise PolicyError("", f"a policy has at most 10 KB; this one has {size} bytes")
    return content


def _as_dict(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"it has a {type(value).__name__}")


def _check_elements(place: str, content: Mapping[Any, Any], known: Iterable[str]) -> None:
    for name in content:
        if name not in known:
            near = {element.lower(): element for element in known}.get(str(name).lower())
            hint = f"; did you mean {near}?" if near else ""
            raise PolicyError(place, f"there is no element {name!r}{hint}")


class _StatementReader:
    """Reads the statements of a document."""

    def __init__(self, kind: _Kind, *, variables: bool) -> None:
        self._kind: _Kind = kind
        self._variables = variables

    def read_all(self, statements: object) -> list[Statement]:
        if isinstance(statements, Mapping):
            return [self._read("Statement", statements)]
        if not isinstance(statements, list | tuple) or not statements:
            raise PolicyError("Statement", "must be a statement or a list of them")
        read = [
            self._read(f"Statement[{index}]", content) for index, content in enumerate(statements)
        ]
        sids: dict[str, str] = {}
        for statement in read:
            if statement.sid and sids.setdefault(statement.sid, statement.place) != statement.place:
                problem = f"{statement.sid!r} is already the Sid of {sids[statement.sid]}"
                raise PolicyError(f"{statement.place}.Sid", problem)
        return read

    def _read(self, place: str, content: object) -> Statement:
        if not isinstance(content, Mapping):
            raise PolicyError(place, "a statement must be an object")
        _check_elements(place, content, _STATEMENT_ELEMENTS)
        sid = content.get("Sid")
        if "Sid" in content and not isinstance(sid, str):
            raise PolicyError(f"{place}.Sid", "must be a string")
        if self._kind == "identity" and not re.fullmatch("[A-Za-z0-9]*", sid or ""):
            problem = f"{sid!r} has other characters than letters and digits; IAM allows only those"
            raise PolicyError(f"{place}.Sid", problem)
        if content.get("Effect") not in ("Allow", "Deny"):
            what = f", not {content['Effect']!r}" if "Effect" in content else "; it is missing"
            raise PolicyError(f"{place}.Effect", f"must be 'Allow' or 'Deny'{what}")
        return Statement(
            place=place,
            sid=sid,
            allow=content["Effect"] == "Allow",
            principal=self._principal(place, content),
            action=self._action(place, content),
            resource=self._resource(place, content),
            conditions=tuple(self._conditions(f"{place}.Condition", content.get("Condition", {}))),
        )

    def _principal(self, place: str, content: Mapping[str, Any]) -> PrincipalElement | None:
        if self._kind == "identity":
            for name in ("Principal", "NotPrincipal"):
                if name in content:
                    problem = "an identity policy has no principals: it applies to its role or user"
                    raise PolicyError(f"{place}.{name}", problem)
            return None
        name, value = _one_of(place, content, "Principal")
        place = f"{place}.{name}"
        values: list[str] = []
        if value == "*":
            values = ["*"]
        elif isinstance(value, Mapping) and value:
            for kind, listed in value.items():
                for where, principal in _strings(f"{place}.{kind}", listed):
                    _at_place(where, check_principal, kind, principal)
                    # "The account ARN and the shortened account ID behave the same way." The
                    # prefix keeps a principal of another kind from matching any caller.
                    named = account_of(principal) or principal
                    values.append(named if kind == "AWS" else f"{kind} {principal}")
        else:
            raise PolicyError(place, 'must be "*" or an object such as {"AWS": "111122223333"}')
        return PrincipalElement(tuple(values), negated=name == "NotPrincipal")

    def _action(self, place: str, content: Mapping[str, Any]) -> ActionElement:
        name, value = _one_of(place, content, "Action")
        actions = []
        for where, action in _strings(f"{place}.{name}", value):
            _at_place(where, check_action, action, self._kind == "auth")
            actions.append(action)
        return ActionElement(tuple(actions), negated=name == "NotAction")

    def _resource(self, place: str, content: Mapping[str, Any]) -> ResourceElement:
        name, value = _one_of(place, content, "Resource")
        values, strings = [], []
        for where, resource in _strings(f"{place}.{name}", value):
            if self._kind == "identity":
                resource = complete_arn(resource)
            string = _at_place(where, self._string, resource)
            _at_place(where, check_resource, resource, string)
            values.append(resource)
            strings.append(string)
        return ResourceElement(tuple(values), tuple(strings), negated=name == "NotResource")

    def _string(self, text: str) -> PolicyString:
        return PolicyString.read(text, variables=self._variables)

    def _conditions(self, place: str, content: object) -> Iterable[Condition]:
        if not isinstance(content, Mapping):
            raise PolicyError(place, "must be an object of condition operators")
        for name, keys in content.items():
            where = f"{place}.{name}"
            operator = _at_place(where, find_operator, name)
            if not isinstance(keys, Mapping):
                raise PolicyError(where, "must be an object of condition keys and their values")
            for key, value in keys.items():
                if not isinstance(key, str) or ":" not in key.strip(":"):
                    problem = f"{key!r} is not a condition key: it needs a prefix, such as aws:"
                    raise PolicyError(where, problem)
                values = tuple(text for _, text in _strings(where, value, scalars=True))
                matchers = []
                for text in values:
                    try:
                        matchers.append(operator.matcher(text, variables=self._variables))
                    except ValueError as error:
                        raise PolicyError(where, f"{key}: {error}") from None
                yield Condition(operator, key, values, tuple(matchers))


def _one_of(place: str, content: Mapping[str, Any], name: str) -> tuple[str, Any]:
    present = [element for element in (name, f"Not{name}") if element in content]
    if not present:
        raise PolicyError(place, f"there must be a {name} or a Not{name}")
    if len(present) > 1:
        raise PolicyError(place, f"there cannot be both {name} and Not{name}")
    return present[0], content[present[0]]


def _strings(place: str, value: object, *, scalars: bool = False) -> list[tuple[str, str]]:
    """The strings of an element that has one or a list of them, each with its place.

    :param scalars: whether numbers and booleans may stand for strings: "Quotation marks are
        optional for numeric and Boolean values."
    """
    listed = list(value) if isinstance(value, list | tuple) else None
    found = []
    for index, item in enumerate([value] if listed is None else listed):
        if scalars and isinstance(item, bool):
            item = "true" if item else "false"
        elif scalars and isinstance(item, int):
            item = str(item)
        elif scalars and isinstance(item, float) and math.isfinite(item):
            item = _decimal(item)
        if not isinstance(item, str):
            break
        found.append((place if listed is None or scalars else f"{place}[{index}]", item))
    else:
        if found:
            return found
    raise PolicyError(place, "must be a string or a list of at least one string")


def _decimal(number: float) -> str:
    """A number without an exponent: Python writes 0.00001 as 1e-05."""
    text = str(number)
    if "e" in text:
        from decimal import Decimal

        text = format(Decimal(text), "f")
    return text


def _at_place(place: str, function: Any, *arguments: Any) -> Any:
    """Call a function; turn its ValueError into a PolicyError that names the place."""
    try:
        return function(*arguments)
    except ValueError as error:
        raise PolicyError(place, str(error)) from None
