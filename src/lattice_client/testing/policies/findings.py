"""Lint findings: what is legal in an auth policy, but surprising.

Sources: the pages of the IAM User Guide and the VPC Lattice User Guide that ``policies`` names;
"IAM Access Analyzer policy check reference" has findings of the same kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lattice_client.testing.policies.document import AuthPolicy, Policy, PolicyDocument
from lattice_client.testing.policies.elements import (
    ActionElement,
    Condition,
    PrincipalElement,
    Statement,
)
from lattice_client.testing.policies.keys import KEYS, ConditionKey, find_key
from lattice_client.testing.policies.request import CONNECT, INVOKE
from lattice_client.testing.policies.values import account_of

__all__ = ["Finding", "lint"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something surprising in a policy.

    :param code: the stable short name of the kind of finding.
    :param place: where it is, such as ``Statement[2].Resource``.
    :param text: what happens, and what to write instead.
    """

    code: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place or 'policy'}: {self.text} [{self.code}]"


def lint(policy: Policy | PolicyDocument) -> tuple[Finding, ...]:
    """Find what is legal in a policy, but surprising.

    :param policy: an auth policy as JSON text, as a mapping, or as an ``AuthPolicy``.
    :returns: the findings, in the order of the document.
    :raises PolicyError: if the document is invalid.
    """
    text = policy if isinstance(policy, str) else ""
    if not isinstance(policy, Policy):
        policy = AuthPolicy.from_document(policy)
    return tuple(_findings(policy, text))


def _findings(policy: Policy, text: str) -> Iterator[Finding]:
    if "\n" in text.strip():
        yield Finding(
            "newlines",
            "",
            "Lattice's guide asks for the JSON in one line, without newlines",
        )
    if not any(statement.allow for statement in policy.statements):
        yield Finding("allows-nothing", "", "without an Allow every request is denied")
    for statement in policy.statements:
        if statement.principal is not None:
            yield from _principal(statement, statement.principal)
        yield from _negations(statement)
        for resource in statement.resource.values:
            for code, problem in _resource(resource, statement.action):
                yield Finding(code, f"{statement.place}.{statement.resource.name}", problem)
        for condition in statement.conditions:
            for code, problem in _condition(statement, condition):
                yield Finding(code, f"{statement.place}.{condition.name}", problem)
        if policy.version != "2012-10-17":
            yield from _old_variables(statement)


# Principals


def _principal(statement: Statement, element: PrincipalElement) -> Iterator[Finding]:
    place = f"{statement.place}.{element.name}"
    if element.negated:
        if statement.allow:
            yield Finding(
                "allow-not-principal",
                place,
                "allows all other callers, including anonymous ones; name callers in Principal",
            )
        elif "*" not in element.values:
            yield from _deny_not_principal(place, element)
    elif statement.allow and "*" in element.values and not statement.conditions:
        yield Finding(
            "allow-everyone",
            place,
            "'*' without a Condition allows all callers, including anonymous ones; to require a "
            'signature add {"StringNotEquals": {"aws:PrincipalType": "Anonymous"}}',
        )
    for value in element.values:
        if (
            value != "*"
            and not account_of(value)
            and not re.match(r"arn:aws[a-z-]*:(iam|sts):", value)
        ):
            yield Finding(
                "no-such-caller",
                place,
                f"{value!r} matches no caller: callers of Lattice are roles, users and accounts",
            )


def _deny_not_principal(place: str, element: PrincipalElement) -> Iterator[Finding]:
    accounts = {account_of(value) for value in element.values}
    roles = {value for value in element.values if ":role/" in value}
    for value in element.values:
        if account_of(value):
            continue
        account = value.split(":")[4] if value.count(":") > 3 else None  # noqa: PLR2004 - of an ARN
        if account is not None and account not in accounts:
            yield Finding(
                "deny-not-principal",
                place,
                f"denies {value!r} too, because the account {account} is not among the principals; "
                "better deny '*' with ArnNotEquals on aws:PrincipalArn",
            )
        elif ":role/" in value and not any(":assumed-role/" in other for other in element.values):
            yield Finding(
                "deny-not-principal",
                place,
                f"may deny the sessions of {value!r}, because none is among the principals; "
                "better deny '*' with ArnNotEquals on aws:PrincipalArn",
            )
        elif ":assumed-role/" in value and not roles:
            yield Finding(
                "deny-not-principal",
                place,
                f"denies {value!r} too, because its role is not among the principals; "
                "better deny '*' with ArnNotEquals on aws:PrincipalArn",
            )


def _negations(statement: Statement) -> Iterator[Finding]:
    if not statement.allow:
        return
    for element in (statement.action, statement.resource):
        if element.negated:
            yield Finding(
                f"allow-{'not-action' if element is statement.action else 'not-resource'}",
                f"{statement.place}.{element.name}",
                "allows everything else, including later additions; name what to allow",
            )


# Resources

_SERVICE_ID = r"svc-[0-9a-z]+"
_ACCOUNT_DIGITS = 12


def _resource(resource: str, action: ActionElement) -> Iterator[tuple[str, str]]:
    if resource.startswith("*"):
        return
    _, _, service, _, account, path = resource.split(":", 5)
    if service == "vpc-lattice-svcs":
        yield (
            "other-service",
            (f"{resource!r} matches no request: ARNs of services have vpc-lattice, without -svcs"),
        )
    elif "*" not in service and "?" not in service and service != "vpc-lattice":
        yield "other-service", f"{resource!r} matches no request to Lattice"
    if not set(account) & set("*?") and len(account) != _ACCOUNT_DIGITS:
        yield "no-account", f"{resource!r} matches no request: an account has 12 digits"
    service_id = re.match(rf"service/{_SERVICE_ID}", path)
    invokes, connects = (action.mismatch(asked) is None for asked in (INVOKE, CONNECT))
    if service_id and service_id[0] == path and invokes:
        yield (
            "no-path",
            f"{resource!r} matches no request, because each has a path; write {resource + '/*'!r}",
        )
    elif service_id and path[service_id.end() :].startswith("/") and connects and not invokes:
        bare = resource[: len(resource) - len(path)] + service_id[0]
        yield (
            "path-of-connection",
            f"{resource!r} matches no connection, because they have no path; write {bare!r}",
        )
    elif re.match(r"servicenetwork/", path):
        yield (
            "no-path",
            f"{resource!r} matches no request: resources are services, even in a network's policy",
        )
    if re.search(r"/[^$*]*\?[^/]*=", path):
        yield (
            "query-in-path",
            (
                f"{resource!r} has a query, but a resource ends with the path; '?' is a wildcard; "
                "use vpc-lattice-svcs:RequestQueryString/NAME"
            ),
        )


# Conditions


def _condition(statement: Statement, condition: Condition) -> Iterator[tuple[str, str]]:
    key = find_key(condition.key)
    if key is None:
        yield "unknown-key", _unknown(condition)
        return
    if not condition.key.startswith(key.name):
        yield (
            "key-case",
            (
                f"write {key.name}, not {condition.key}: IAM ignores case, but Lattice's guide "
                "says that it counts"
            ),
        )
    yield from _sets(statement, condition, key)
    yield from _missing(statement, condition, key)
    yield from _types(condition, key)
    for value in condition.values:
        yield from _value(condition, key, value)


def _unknown(condition: Condition) -> str:
    name = condition.key.partition("/")[0]
    known = next((key for key in KEYS if key.name.lower() == name.lower()), None)
    if known is not None:
        form = f"{known.name}/NAME" if known.named else known.name
        return f"{condition.key!r} is not a key of Lattice; write {form}"
    if name.lower() in ("aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip"):
        return (
            f"{condition.key!r} is not there in requests to Lattice; use vpc-lattice-svcs:SourceVpc"
        )
    result = "always holds" if condition.operator.negated else "does not hold"
    return f"{condition.key!r} is not a key of requests to Lattice: a condition on it {result}"


def _sets(
    statement: Statement, condition: Condition, key: ConditionKey
) -> Iterator[tuple[str, str]]:
    operator = condition.operator
    if key.many and operator.quantifier is None and operator.base != "Null":
        yield (
            "set-operator-missing",
            f"{condition.key} can have several values; use ForAnyValue: or ForAllValues:",
        )
    elif not key.many and operator.quantifier is not None:
        yield (
            "set-operator",
            f"{condition.key} has at most one value; set operators are for multivalued keys",
        )
    if (
        operator.quantifier == "ForAllValues"
        and statement.allow
        and not _exists(statement, condition)
    ):
        yield (
            "allow-for-all-values",
            (
                f"ForAllValues: holds where {condition.key} is missing; add "
                f'{{"Null": {{"{condition.key}": "false"}}}}'
            ),
        )


def _exists(statement: Statement, condition: Condition) -> bool:
    """Whether the statement also requires the key to be there."""
    return any(
        other.operator.base == "Null"
        and other.key.lower() == condition.key.lower()
        and [value.lower() for value in other.values] == ["false"]
        for other in statement.conditions
    )


def _missing(
    statement: Statement, condition: Condition, key: ConditionKey
) -> Iterator[tuple[str, str]]:
    operator = condition.operator
    if key.always or operator.base == "Null" or operator.quantifier is not None:
        return
    holds = operator.negated or operator.if_exists
    if statement.allow and holds and not _exists(statement, condition):
        yield (
            "allow-where-missing",
            f"holds where {condition.key} is missing"
            + (", as for anonymous callers" if key.name.startswith("aws:Principal") else ""),
        )
    elif not statement.allow and not holds and key.name.startswith("aws:Principal"):
        yield (
            "deny-where-missing",
            (
                f"does not hold where {condition.key} is missing, as for anonymous callers: "
                "they are not denied"
            ),
        )


_FAMILIES = {
    "Numeric": {"Numeric"},
    "Date": {"Date"},
    "Bool": {"Bool"},
    "IpAddress": {"IPAddress"},
    "Arn": {"ARN"},
}


def _types(condition: Condition, key: ConditionKey) -> Iterator[tuple[str, str]]:
    expected = _FAMILIES.get(condition.operator.family)
    # Headers and tags (named keys) may hold values of any type.
    # "Works with date operators or numeric operators": aws:EpochTime's page.
    either = key.name == "aws:EpochTime" and condition.operator.family == "Numeric"
    if expected is not None and key.type not in expected and not (key.named or either):
        yield (
            "operator-type",
            (
                f"{condition.key} has the type {key.type}: {condition.operator.base} cannot "
                "compare its values"
            ),
        )


_PRINCIPAL_TYPES = {"Account", "Anonymous", "AssumedRole", "FederatedUser", "User"}


def _value(condition: Condition, key: ConditionKey, value: str) -> Iterator[tuple[str, str]]:
    base = condition.operator.base
    exact = base in ("StringEquals", "StringNotEquals")
    plain = "${" not in value
    if base.startswith("String") and "Like" not in base and plain and set(value) & set("*?"):
        yield (
            "literal-wildcard",
            (
                f"{value!r} is compared literally; for wildcards use "
                f"{'StringNotLike' if condition.operator.negated else 'StringLike'}"
            ),
        )
    if (
        key.name == "vpc-lattice-svcs:RequestPath"
        and condition.operator.family == "String"
        and plain
    ):
        if re.search(r"\?[^/]*=", value):
            yield (
                "query-in-path",
                (
                    f"{value!r} has a query, but {key.name} has none; use "
                    "vpc-lattice-svcs:RequestQueryString/NAME"
                ),
            )
        elif value[:1] not in ("/", "*", "?"):
            yield "path-without-slash", f"{value!r} matches no path: paths begin with '/'"
    if key.name == "vpc-lattice-svcs:RequestMethod" and exact and value != value.upper():
        yield "method-case", f"{value!r} is not a method: methods are in capitals"
    if key.name == "aws:PrincipalType" and exact and plain and value not in _PRINCIPAL_TYPES:
        types = ", ".join(sorted(_PRINCIPAL_TYPES))
        yield "principal-type", f"{value!r} is not a type of principal; the types are {types}"
    if key.name == "aws:PrincipalArn" and ":assumed-role/" in value:
        yield (
            "session-arn",
            (
                f"{value!r} matches no caller: a session's aws:PrincipalArn is its role's ARN, "
                "arn:aws:iam::ACCOUNT:role/NAME"
            ),
        )


def _old_variables(statement: Statement) -> Iterator[Finding]:
    values = [(statement.resource.name, value) for value in statement.resource.values]
    values += [
        (condition.name, value) for condition in statement.conditions for value in condition.values
    ]
    for element, value in values:
        if "${" in value:
            yield Finding(
                "old-version",
                f"{statement.place}.{element}",
                f"{value!r} is taken literally: policy variables need Version 2012-10-17",
            )
