"""Run by scripts/release-check inside an environment that has the wheel and some of its extras.

_smoke.py serve                serves a local Lattice, and prints its settings as JSON
_smoke.py try VERSION EXTRA …  calls it with all that is installed; the environment says where
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import lattice_client
from lattice_client import Credentials, LatticeAuth, MissingExtraError

# The libraries of each extra.
LIBRARIES = {
    "requests": ["requests"],
    "httpx": ["httpx"],
    "httpx2": ["httpx2"],
    "aiohttp": ["aiohttp"],
    "niquests": ["niquests"],
    "sigv4a": ["cryptography"],
    "otel": ["opentelemetry"],
    "dns": ["dns"],
    "testing": ["trustme", "cryptography", "httpcore", "yaml"],
    "cli": ["click", "rich", "httpx", "trustme"],
    "demo": ["rich", "requests", "httpx", "httpx2", "aiohttp", "trustme"],
}


def serve() -> None:
    from lattice_client.testing import LocalLattice
    from lattice_client.testing import serve as serving

    local = LocalLattice()
    local.add_service("orders")
    given = local.add_caller("release").credentials
    with serving(local) as running:
        settings = {
            "AWS_ACCESS_KEY_ID": given.access_key,
            "AWS_SECRET_ACCESS_KEY": given.secret_key,
            "AWS_SESSION_TOKEN": given.token,
            "AWS_REGION": local.region,
            "ORDERS_URL": running.url,
        }
        print(json.dumps(settings), flush=True)
        sys.stdin.read()


# A signed call, or another use, for each extra and for none.


def with_the_signer(url: str, kind: str = "SigV4Signer") -> Any:
    from lattice_client import DefaultCredentials, signing

    parts = urlsplit(url)
    signer = getattr(signing, kind)(DefaultCredentials().get(), os.environ["AWS_REGION"])
    headers = signer.sign("GET", parts.netloc, "/orders?page=2&a=1")
    with urlopen(Request(f"{url}/orders?page=2&a=1", headers=headers)) as response:
        return json.load(response)


def with_requests(url: str) -> Any:
    import requests

    from lattice_client.requests import Session

    with requests.get(url, auth=LatticeAuth(), timeout=5) as bare, Session() as session:
        bare.raise_for_status()
        return session.get(url).json()


def with_httpx(url: str, library: str = "httpx") -> Any:
    bare, ours = import_module(library), import_module(f"lattice_client.{library}")
    bare.get(url, auth=LatticeAuth()).raise_for_status()

    async def asynchronous() -> Any:
        async with ours.AsyncClient() as client:
            return (await client.get(url)).json()

    return asyncio.run(asynchronous())


def with_aiohttp(url: str) -> Any:
    from lattice_client.aiohttp import client_session

    async def call() -> Any:
        async with client_session() as session, session.get(url) as response:
            return await response.json()

    return asyncio.run(call())


def with_niquests(url: str) -> Any:
    import niquests  # type: ignore[import-not-found, unused-ignore]

    from lattice_client.niquests import AsyncLatticeAuth

    with niquests.Session() as session:
        session.get(url, auth=LatticeAuth()).raise_for_status()

    async def asynchronous() -> Any:
        async with niquests.AsyncSession() as session:
            return (await session.get(url, auth=AsyncLatticeAuth())).json()

    return asyncio.run(asynchronous())


def with_otel(url: str) -> Any:
    from lattice_client.otel import OpenTelemetry

    OpenTelemetry()
    return with_the_signer(url)


def with_dns(url: str) -> Any:
    from lattice_client import NameSourceError
    from lattice_client.names import DnsNames, Names

    try:
        Names(DnsNames(nameservers=["127.0.0.1:9"], timeout=0.1)).resolve("orders.example.com")
    except NameSourceError:  # the port is closed
        return with_the_signer(url)
    raise AssertionError("a name server that is not there has answered")


def with_testing(url: str) -> Any:
    from lattice_client.testing import LocalLattice
    from lattice_client.testing import serve as serving

    with serving(LocalLattice(), tls=True) as running:
        running.client_ssl_context()
    return with_the_signer(url)


def with_cli(url: str) -> Any:
    assert version("vpc-lattice-client") in command("--version")
    assert "assumed-role/release" in command("call", url)
    return with_the_signer(url)


def with_demo(url: str) -> Any:
    assert "aiohttp" in command("demo")
    return with_the_signer(url)


def command(*arguments: str) -> str:
    """What ``lattice-client`` prints."""
    program = Path(sysconfig.get_path("scripts"), "lattice-client")
    return subprocess.run(
        [program, *arguments], stdout=subprocess.PIPE, text=True, check=True
    ).stdout


USES: dict[str, Callable[[str], Any]] = {
    "requests": with_requests,
    "httpx": with_httpx,
    "httpx2": lambda url: with_httpx(url, "httpx2"),
    "aiohttp": with_aiohttp,
    "niquests": with_niquests,
    "sigv4a": lambda url: with_the_signer(url, "SigV4ASigner"),
    "otel": with_otel,
    "dns": with_dns,
    "testing": with_testing,
    "cli": with_cli,
    "demo": with_demo,
}


def missing(extra: str) -> MissingExtraError | None:
    """The error on use of an extra that is not installed."""
    try:
        if extra == "sigv4a":
            from lattice_client.signing import SigV4ASigner

            SigV4ASigner(Credentials("AKID", "s"), "*").sign("GET", "orders.example.com", "/")
        elif extra in ("dns", "testing"):
            USES[extra](os.environ["ORDERS_URL"])
        elif extra == "demo":
            from lattice_client.cli.demo.run import need_libraries

            need_libraries()
        else:
            import_module(f"lattice_client.{extra}")
    except MissingExtraError as error:
        return error
    return None


def try_all(wanted_version: str, extras: list[str]) -> None:
    assert Path(lattice_client.__file__).is_relative_to(sys.prefix), lattice_client.__file__
    assert lattice_client.__version__ == version("vpc-lattice-client") == wanted_version
    assert (Path(lattice_client.__file__).parent / "py.typed").exists()
    url = os.environ["ORDERS_URL"]
    installed = {extra for extra, libraries in LIBRARIES.items() if all(map(find_spec, libraries))}
    assert set(extras) <= LIBRARIES.keys(), "add the libraries of the new extra to _smoke.py"
    assert installed >= set(extras), f"{extras} did not bring {set(extras) - installed}"
    assert with_the_signer(url)["caller"]
    for extra in sorted(installed):
        assert USES[extra](url)["caller"].endswith("assumed-role/release/session"), extra
    # The command is installed without its extra too; its error then is tested elsewhere. The module
    # for niquests needs none: it is of use only beside a session of niquests.
    for extra in sorted(LIBRARIES.keys() - installed - {"cli", "niquests"}):
        error = missing(extra)
        assert error is not None, f"{extra} is not installed, and no error says so"
        assert f"vpc-lattice-client[{extra}]" in str(error), str(error)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve()
    else:
        try_all(sys.argv[2], sys.argv[3:])
