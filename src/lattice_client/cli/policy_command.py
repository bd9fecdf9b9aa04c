"""``lattice-client policy``: how an auth policy decides on a request, and what is surprising in
it."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import Any, NamedTuple

import click
from rich.text import Text

from lattice_client.cli.bodies import display_name, headers_of, read_file
from lattice_client.cli.failures import FAULT, READ, USAGE, Failure
from lattice_client.cli.help import Group
from lattice_client.cli.terminal import say
from lattice_client.testing.model.callers import Principal
from lattice_client.testing.policies import (
    AuthPolicy,
    Decision,
    IdentityPolicy,
    Policy,
    PolicyError,
    PolicyRequest,
    evaluate,
    lint,
)

__all__ = ["command"]

_ACCOUNT = "111122223333"
_ANONYMOUS = "anonymous"


@click.group("policy", cls=Group, no_args_is_help=False)
def command() -> None:
    """Evaluate an auth policy, or lint it."""


# check


class _Layer(NamedTuple):
    """One of the policies that must allow a request."""

    name: str
    decision: Decision


@command.command("check")
@click.argument("file", type=click.Path(allow_dash=True))
@click.option(
    "--as",
    "caller",
    required=True,
    metavar="ROLE",
    help='Who calls: the ARN of a role, session, user or account, a role\'s name, or "anonymous".',
)
@click.option("-X", "--method", default="GET", show_default=True, help="With which method.")
@click.option("--path", default="/", show_default=True, help="Which path; a query may follow.")
@click.option("-H", "--header", multiple=True, metavar="LINE", help="With which header.")
@click.option("--service", metavar="ARN", help="Which service.")
@click.option("--network", metavar="ARN", help="In which service network.")
@click.option("--port", type=click.IntRange(1, 65535), help="At which port.")
@click.option("--source-vpc", metavar="VPC", help="From which VPC.")
@click.option("--source-ip", metavar="ADDRESS", help="From which address.")
@click.option("--org", metavar="ID", help="The organization that the caller belongs to.")
@click.option("--tag", multiple=True, metavar="KEY=VALUE", help="A tag of the caller.")
@click.option(
    "--context", multiple=True, metavar="KEY=VALUE", help="Another condition key and its value."
)
@click.option(
    "--network-policy", type=click.Path(), metavar="FILE", help="The service network's policy, too."
)
@click.option(
    "--identity-policy", type=click.Path(), multiple=True, metavar="FILE", help="The caller's, too."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(file: str, *, as_json: bool, **given: Any) -> int:
    """Would a request be allowed, and by which statement?

    FILE is a service's auth policy (JSON; - for stdin). The exit code is 1 if it is denied.
    """
    try:
        request = _request(given)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    layers = [_Layer("service policy", _decide(file, AuthPolicy, request))]
    if given["network_policy"]:
        decision = _decide(given["network_policy"], AuthPolicy, request)
        layers.insert(0, _Layer("network policy", decision))
    layers += [
        _Layer(f"identity policy {policy}", _decide(policy, IdentityPolicy, request))
        for policy in given["identity_policy"]
    ]
    allowed = _allowed(layers)
    if as_json:
        result = {
            "allowed": allowed,
            "caller": request.caller.arn if request.caller else None,
            "layers": [_as_json(layer) for layer in layers],
        }
        print(json.dumps(result, indent=2))  # noqa: T201 rich would wrap it
    else:
        for layer in layers:
            _show(layer, named=len(layers) > 1)
        if len(layers) > 1:
            say("Allowed." if allowed else "Denied.", _style(allowed), stderr=False)
    return 0 if allowed else FAULT


def _request(given: dict[str, Any]) -> PolicyRequest:
    path, _, query = given["path"].partition("?")
    if given["source_ip"]:
        ip_address(given["source_ip"])  # raises ValueError with a readable message
    headers = [
        (name.decode(), (value or b"").decode("utf-8", "replace"))
        for name, value in headers_of(given["header"]).items()
    ]
    service = {"service_arn": given["service"]} if given["service"] else {}
    return PolicyRequest(
        given["method"],
        path,
        _principal(given),
        query=query,
        headers=headers,
        port=given["port"],
        network_arn=given["network"],
        source_vpc=given["source_vpc"],
        source_ip=given["source_ip"],
        context=_pairs("--context", given["context"]),
        **service,
    )


def _principal(given: dict[str, Any]) -> Principal | None:
    who: str = given["caller"]
    if not who:
        raise click.BadParameter("no caller is named (an empty variable?)", param_hint="--as")
    if who == _ANONYMOUS:
        return None
    parts = (given["service"] or "").split(":")
    partition, account = (parts[1], parts[4]) if len(parts) > len("ARN:") else ("aws", _ACCOUNT)
    known: dict[str, Any] = {"organization": given["org"], "tags": _pairs("--tag", given["tag"])}
    if who.startswith("arn:") or who.isdigit():
        return Principal.from_arn(who, **known)
    return Principal(account, who, partition=partition, **known)


def _pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.BadParameter(f"{one!r} is not of the form KEY=VALUE", param_hint=option)
        pairs[name] = value
    return pairs


def _decide(file: str, kind: type[Policy], request: PolicyRequest) -> Decision:
    return evaluate(_read(file, kind), request)


def _allowed(layers: list[_Layer]) -> bool:
    """Whether all layers allow. Of the identity policies, one must allow and none may deny."""
    identity = [one.decision for one in layers if one.name.startswith("identity")]
    others = [one.decision for one in layers if not one.name.startswith("identity")]
    denied = any(one.statement is not None and not one.allowed for one in identity)
    by_identity = not identity or (not denied and any(one.allowed for one in identity))
    return by_identity and all(one.allowed for one in others)


def _as_json(layer: _Layer) -> dict[str, Any]:
    decision = layer.decision
    statements = zip(decision.policy.statements, decision.mismatches, strict=True)
    return {
        "layer": layer.name,
        "effect": decision.effect.value,
        "statement": decision.statement.place if decision.statement else None,
        "sid": decision.sid,
        "statements": [
            {
                "place": statement.place,
                "sid": statement.sid,
                "effect": "Allow" if statement.allow else "Deny",
                "applies": mismatch is None,
                "why_not": None if mismatch is None else str(mismatch),
            }
            for statement, mismatch in statements
        ],
    }


def _show(layer: _Layer, *, named: bool) -> None:
    verdict, *reasons = str(layer.decision).split("\n")
    if named:
        say(f"{layer.name[:1].upper()}{layer.name[1:]}", "bold", stderr=False)
    say(verdict, _style(layer.decision.allowed), stderr=False)
    for reason in reasons:
        say(reason.strip(), stderr=False, indent=2)


def _style(allowed: bool) -> str:  # noqa: FBT001 the only argument
    return "green" if allowed else "red"


# lint


@command.command("lint", short_help="Find what is legal and surprising.")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(allow_dash=True), metavar="FILE..."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def lint_files(files: tuple[str, ...], *, as_json: bool) -> int:
    """Find what is legal in auth policies and does something else than it seems to.

    The exit code is 1 if something is found or AWS would refuse a policy.
    """
    found: list[dict[str, str]] = []
    for file in files:
        try:
            # The parsed policy: line breaks in the file are not a finding.
            findings = lint(_read(file, AuthPolicy))
        except _RefusedError as refused:
            found.append({"file": display_name(file), **refused.finding})
        else:
            found += [
                {"file": display_name(file), "code": one.code, "place": one.place, "text": one.text}
                for one in findings
            ]
    if as_json:
        print(json.dumps(found, indent=2))  # noqa: T201 rich would wrap it
    else:
        for one in found:
            place = f" {one['place']}" if one["place"] else ""
            line = Text(f"{one['file']}{place}: ", "bold")
            line.append(f"{one['text']} ", "not bold")
            line.append(f"[{one['code']}]", "not bold cyan")
            say(line, stderr=False)
        if not found:
            say("Nothing found.", "green", stderr=True)
    return FAULT if found else 0


class _RefusedError(Failure):
    """A document that AWS would refuse."""

    def __init__(self, file: str, error: PolicyError) -> None:
        place = f" {error.place}" if error.place else ""
        super().__init__(USAGE, f"{file}{place}: {error.problem}.")
        self.finding = {"code": "refused", "place": error.place, "text": error.problem}


def _read(file: str, kind: type[Policy]) -> Policy:
    try:
        text = read_file(file).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Failure(READ, f"{file} is not UTF-8 text.") from None
    try:
        return kind.from_document(text)
    except PolicyError as error:
        raise _RefusedError(display_name(file), error) from None
