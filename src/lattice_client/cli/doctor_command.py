"""``lattice-client doctor``: why calls to a URL fail, check by check."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lattice_client.cli.addresses import Addresses, address_options, destination
from lattice_client.cli.bodies import headers_of
from lattice_client.cli.doctor.findings import Finding, Status
from lattice_client.cli.doctor.run_checks import CheckOptions, run_checks
from lattice_client.cli.failures import FAULT
from lattice_client.cli.help import Command
from lattice_client.cli.signing_options import Signing, signing_options
from lattice_client.cli.terminal import console
from lattice_client.cli.transport import tls_context

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["command"]

_MARKS: dict[Status, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "fault": ("✗", "bold red"),
    "skipped": ("·", "dim"),
}
# Terminal columns. On a narrower terminal, a check's text goes below its name.
_NARROW = 60
_NAME_WIDTH = len("credentials")


@click.command("doctor", cls=Command)
@click.argument("url")
@click.option("-X", "--request", "method", metavar="METHOD", default="GET", help="The method.")
@click.option("-H", "--header", multiple=True, metavar="LINE", help="A header to send along.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--whoami", is_flag=True, help="Ask STS who the caller is.")
@click.option(
    "--ask-aws", is_flag=True, help="Ask Route 53 and VPC Lattice what they know of the name."
)
@click.option("--unsigned", is_flag=True, help="Do not sign.")
@click.option(
    "--cacert", type=click.Path(), metavar="FILE", help="Trust the authorities in this file."
)
@click.option("-k", "--insecure", is_flag=True, help="Trust any certificate.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="For each step.",
)
@address_options
@signing_options
def command(
    *, url: str, signing: Signing, addresses: Addresses, as_json: bool, **given: Any
) -> int:
    """Find out why calls to a URL fail.

    It checks the credentials, the region, the name, the connection, TLS and the clock, and makes a
    signed call. If the signature is not accepted, further calls (GET, HEAD and OPTIONS alone) find
    out which part is changed on the way. The exit code is 1 if there is a fault.
    """
    to, addresses, signing = destination(url, addresses, signing, signs=not given["unsigned"])
    needed = to.scheme == "https"
    options = CheckOptions(
        url=to,
        method=given["method"],
        headers={
            os.fsdecode(name): (value or b"").decode("latin-1")
            for name, value in headers_of(given["header"]).items()
        },
        signing=signing,
        addresses=addresses,
        verify=tls_context(given["cacert"], insecure=given["insecure"], needed=needed),
        timeout=given["timeout"],
        unsigned=given["unsigned"],
        whoami=given["whoami"],
        ask_aws=given["ask_aws"],
    )
    findings = run_checks(options)
    faults = _as_json(options, findings) if as_json else _in_words(findings)
    return FAULT if faults else 0


def _as_json(options: CheckOptions, findings: Iterable[Finding]) -> list[Finding]:
    found = list(findings)
    faults = [finding for finding in found if finding.fault]
    result = {
        "url": str(options.url.copy_with(query=None)),
        "faults": [finding.fault for finding in faults],
        "checks": [finding.as_json() for finding in found],
    }
    print(json.dumps(result, indent=2))  # noqa: T201 rich would wrap it
    return faults


def _in_words(findings: Iterable[Finding]) -> list[Finding]:
    out = console()
    faults = []
    for finding in findings:
        _show(out, finding)
        if finding.fault:
            faults.append(finding)
    style = "bold red" if faults else "bold green"
    # The first fault is usually the cause of the others.
    verdict = f"Fault: {faults[0].fault}." if faults else "No fault found."
    if out.is_terminal:
        out.print()
    out.print(verdict, style=style)
    return faults


def _show(out: Console, finding: Finding) -> None:
    if not out.is_terminal:
        step = f" {finding.next_step}" if finding.next_step else ""
        line = f"{finding.status:<8} {finding.check:<{_NAME_WIDTH}}  {finding.text}{step}"
        out.print(line, soft_wrap=True)
        return
    sign, style = _MARKS[finding.status]
    text = Text(finding.text, "dim" if finding.status == "skipped" else "")
    if finding.next_step:
        text.append(f"\n→ {finding.next_step}", "italic" if finding.fault else "")
    name = Text(finding.check, "bold" if finding.fault else "")
    if out.width < _NARROW:
        out.print(Text.assemble((sign, style), " ", name))
        out.print(Padding(text, (0, 0, 0, 2)), overflow="fold")
        return
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(width=1)
    row.add_column(width=_NAME_WIDTH, no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(Text(sign, style), name, text)
    out.print(row)
