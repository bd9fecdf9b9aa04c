"""The match conditions of a CloudFormation template's rules.

Source: "AWS::VpcLattice::Rule HttpMatch" (CloudFormation Template Reference).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lattice_client.testing.model.rules import HeaderMatch
from lattice_client.testing.templates.nodes import Node, text_of

__all__ = ["http_match"]


def http_match(node: Node) -> dict[str, Any]:
    """The arguments of ``Rules.when`` for an HttpMatch."""
    parts = node.table(("Method", "PathMatch", "HeaderMatches"))
    conditions: dict[str, Any] = {"method": text_of(parts, "Method")}
    if "PathMatch" in parts:
        path = parts["PathMatch"]
        conditions["case_sensitive"] = _is_case_sensitive(path.table(("CaseSensitive", "Match")))
        kinds = path.need("Match").table(("Exact", "Prefix"))
        if not kinds:
            raise path.need("Match").error("give either Exact or Prefix")
        conditions |= {"path": text_of(kinds, "Exact"), "prefix": text_of(kinds, "Prefix")}
    if "HeaderMatches" in parts:
        conditions["headers"] = [_header(item) for item in parts["HeaderMatches"].items()]
    return conditions


def _header(node: Node) -> HeaderMatch:
    table = node.table(("CaseSensitive", "Match", "Name"))
    kinds = node.need("Match").table(("Contains", "Exact", "Prefix"))
    with node.error_context():
        return HeaderMatch(
            node.need("Name").as_text(),
            exact=text_of(kinds, "Exact"),
            prefix=text_of(kinds, "Prefix"),
            contains=text_of(kinds, "Contains"),
            case_sensitive=_is_case_sensitive(table),
        )


def _is_case_sensitive(table: Mapping[str, Node]) -> bool:
    return "CaseSensitive" in table and table["CaseSensitive"].as_flag()
