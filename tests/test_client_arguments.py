"""The arguments that type checkers know of the clients are those that the libraries have."""

from __future__ import annotations

import ast
import inspect

import aiohttp
import httpx
import httpx2
import pytest
import requests
from requests.adapters import HTTPAdapter

import lattice_client.aiohttp
import lattice_client.httpx
import lattice_client.httpx2
import lattice_client.requests
from lattice_client._calls.arguments import ClientArguments
from lattice_client._calls.loop import CallSettings
from lattice_client._requests import verbs
from lattice_client._requests.adapter import AdapterArguments

# Of the libraries: those that their older releases do not have, and those that these alone have.
NEWER = {"json_serialize_bytes", "max_headers", "ssl_shutdown_timeout"}
REMOVED = {"app", "proxies"}
OURS = {"auth", *ClientArguments.__annotations__}

HTTPX = [
    (kind, getattr(ours, arguments), getattr(library, library_kind))
    for ours, library in ((lattice_client.httpx, httpx), (lattice_client.httpx2, httpx2))
    for kind, arguments, library_kind in (
        (ours.Client, "_SyncArguments", "Client"),
        (ours.AsyncClient, "_AsyncArguments", "AsyncClient"),
        (ours.Transport, "_TransportArguments", "HTTPTransport"),
        (ours.AsyncTransport, "_TransportArguments", "AsyncHTTPTransport"),
    )
]
CASES = [
    *HTTPX,
    (lattice_client.requests.Adapter, AdapterArguments, HTTPAdapter),
    (lattice_client.requests.Session, AdapterArguments, HTTPAdapter),
    (
        lattice_client.aiohttp.client_session,
        lattice_client.aiohttp._SessionArguments,
        aiohttp.ClientSession,
    ),
]


def names(function) -> set[str]:
    """The names of its parameters, without those that collect others."""
    collecting = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name for parameter in parameters if parameter.kind not in collecting}


@pytest.mark.parametrize(
    ("ours", "arguments", "library"), CASES, ids=lambda each: getattr(each, "__name__", None)
)
def test_all_of_the_library_are_declared(ours, arguments, library):
    declared = names(ours) | set(arguments.__annotations__)
    there = names(library)
    assert there - REMOVED <= declared
    assert declared - OURS - there <= NEWER | {"transport"}


@pytest.mark.parametrize("ours", [each[0] for each in CASES], ids=lambda each: each.__name__)
def test_ours_are_the_same_for_all(ours):
    assert names(ours) >= OURS


def test_they_are_what_the_settings_are_made_of():
    assert names(CallSettings) == OURS


@pytest.mark.parametrize("ours", [each[0] for each in CASES], ids=lambda each: each.__name__)
def test_a_misspelt_one_is_refused(ours):
    with pytest.raises(TypeError, match="retyr"):
        ours(retyr=None)


@pytest.mark.parametrize("verb", ["get", "options", "head", "delete", "post", "put", "patch"])
def test_a_call_of_requests_takes_what_requests_takes(verb):
    """Those of the verbs, as type checkers see them."""
    tree = ast.parse(inspect.getsource(verbs))
    classes = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    (method,) = (each for each in classes["TypedSession"].body if each.name == verb)
    declared = {argument.arg for argument in method.args.args} - {"self"}
    name = ast.unparse(method.args.kwarg.annotation).removeprefix("Unpack[").removesuffix("]")
    while name in classes:
        declared |= {each.target.id for each in classes[name].body if hasattr(each, "target")}
        name = ast.unparse(classes[name].bases[0])
    assert declared == names(requests.Session.request) - {"self", "method"} | {"retry"}
