"""Friendly names over real sockets: Host, SNI and certificate are the endpoint's at any address."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import aiohttp
import anyio
import httpx
import httpx2
import pytest
import requests

import lattice_client.aiohttp
import lattice_client.httpx
import lattice_client.httpx2
import lattice_client.requests
from adapters.drivers import CLIENTS, DRIVERS, HOOKS, Driver
from lattice_client import ConfigurationError, Endpoint, LatticeAuth
from lattice_client.testing import LocalLattice, RunningLattice, serve
from support import canary
from support.h2_server import h2_server
from support.ipv6 import need_ipv6
from support.names import Told
from support.raw_server import raw_server

REGION = "us-west-2"
FRIENDLY = "payments.internal.example.com"
# Those whose requests can be led to an address: aiohttp's hook is a middleware, too.
LEADING = [HOOKS[-1], *CLIENTS]
NOT_LEADING = HOOKS[:-1]


def named(driver: Driver) -> str:
    return driver.name


def local() -> LocalLattice:
    lattice = LocalLattice(region=REGION)
    lattice.add_service("payments", domain=FRIENDLY)
    lattice.add_service("orders")
    lattice.add_caller("orders-frontend", credentials=canary.credentials())
    return lattice


@pytest.fixture(scope="module")
def lattice() -> Iterator[RunningLattice]:
    """Its names resolve nowhere."""
    with serve(local(), tls=True) as running:
        yield running


@pytest.fixture(scope="module")
def lattice_v6() -> Iterator[RunningLattice]:
    need_ipv6()
    with serve(local(), tls=True, host="::1") as running:
        yield running


def auth_of(driver: Driver, names: Told, **arguments) -> LatticeAuth:
    return driver.auth(credentials=canary.credentials(), names=names, **arguments)


def told(host: str, **known) -> Told:
    return Told({known.pop("asked", host): Endpoint(host, REGION, **known)})


def assert_led(running: RunningLattice, host: str) -> None:
    """The last request was verified, and Lattice saw one name everywhere."""
    record = running.access_log[-1]
    assert running.requests[-1].verified
    assert record["serverNameIndication"] == host
    assert str(record["hostHeader"]).partition(":")[0] == host
    assert record["responseCode"] == 200


@pytest.mark.parametrize("driver", LEADING, ids=named)
class TestConnectTo:
    def test_a_custom_domain(self, driver, lattice):
        names = told(FRIENDLY, connect_to=f"127.0.0.1:{lattice.port}")
        with driver.client(auth_of(driver, names), lattice.ca_file) as call:
            answer = call("GET", f"https://{FRIENDLY}/a%20b?c=d%2Fe&f=+")
            assert answer.status == 200
            assert answer.url.startswith(f"https://{FRIENDLY}/a%20b?")
            assert lattice.access_log[-1]["hostHeader"] == FRIENDLY
            assert_led(lattice, FRIENDLY)
            # The port of the URL is the address's where that has none, and stays Host's.
            names.known[FRIENDLY] = Endpoint(FRIENDLY, REGION, "127.0.0.1")
            assert call("POST", f"https://{FRIENDLY}:{lattice.port}/", body=b"{}").status == 200
            assert lattice.access_log[-1]["hostHeader"] == f"{FRIENDLY}:{lattice.port}"
            assert_led(lattice, FRIENDLY)

    @pytest.mark.parametrize("address", ["[::1]:{port}", "::1"])
    def test_an_ipv6_literal(self, driver, lattice_v6, address):
        names = told(FRIENDLY, connect_to=address.format(port=lattice_v6.port))
        with driver.client(auth_of(driver, names), lattice_v6.ca_file) as call:
            assert call("GET", f"https://{FRIENDLY}:{lattice_v6.port}/").status == 200
        assert_led(lattice_v6, FRIENDLY)

    def test_a_name(self, driver, lattice):
        names = told(FRIENDLY, connect_to=f"localhost:{lattice.port}")
        with driver.client(auth_of(driver, names), lattice.ca_file) as call:
            assert call("GET", f"https://{FRIENDLY}/").status == 200
        assert_led(lattice, FRIENDLY)

    def test_an_alias_with_an_address(self, driver, lattice):
        managed = lattice.service("orders").managed_name
        names = told(managed, asked="orders.example.com", connect_to=f"127.0.0.1:{lattice.port}")
        with driver.client(auth_of(driver, names), lattice.ca_file) as call:
            answer = call("GET", "https://orders.example.com/x")
            assert answer.status == 200
            assert answer.url == "https://orders.example.com/x"
        assert_led(lattice, managed)

    def test_over_http(self, driver, lattice):
        names = told(FRIENDLY)
        with raw_server() as server, driver.client(auth_of(driver, names), lattice.ca_file) as call:
            names.known[FRIENDLY] = Endpoint(FRIENDLY, REGION, f"127.0.0.1:{server.port}")
            assert call("GET", f"http://{FRIENDLY}/").status == 200
            assert server.requests[0].verified()
            assert server.requests[0].header("host") == FRIENDLY
            assert server.requests[0].target == b"/"

    def test_the_certificate_is_checked_against_the_name(self, driver, lattice):
        names = told("mallory.example.com", connect_to=f"127.0.0.1:{lattice.port}")
        before = len(lattice.requests)
        with (
            driver.client(auth_of(driver, names), lattice.ca_file) as call,
            pytest.raises((requests.exceptions.SSLError, *CONNECT_ERRORS)),
        ):
            call("GET", "https://mallory.example.com/")
        assert len(lattice.requests) == before

    def test_two_names_at_one_address_do_not_mix(self, driver, lattice):
        managed = lattice.service("orders").managed_name
        address = f"127.0.0.1:{lattice.port}"
        names = Told(
            {
                FRIENDLY: Endpoint(FRIENDLY, REGION, address),
                managed: Endpoint(managed, REGION, address),
                "orders.example.com": Endpoint(managed, REGION, address),
            }
        )
        with driver.client(auth_of(driver, names), lattice.ca_file) as call:
            before = len(lattice.access_log)
            for host in (FRIENDLY, managed, "orders.example.com") * 3:
                assert call("GET", f"https://{host}/").status == 200
                assert_led(lattice, FRIENDLY if host == FRIENDLY else managed)
        records = lattice.access_log[before:]
        # One connection for each name of Lattice's; what is an alias of it shares its.
        assert len({record["sourceIpPort"] for record in records}) == 2

    def test_connections_are_pooled_for_each_address(self, driver, lattice):
        names = told(FRIENDLY)
        with (
            raw_server() as first,
            raw_server() as second,
            driver.client(auth_of(driver, names), lattice.ca_file) as call,
        ):
            for server in (first, first, second, second, first, second):
                names.known[FRIENDLY] = Endpoint(FRIENDLY, REGION, f"127.0.0.1:{server.port}")
                assert call("GET", f"http://{FRIENDLY}/").status == 200
            assert (len(first.requests), first.connections) == (3, 1)
            assert (len(second.requests), second.connections) == (3, 1)

    @pytest.mark.parametrize(
        ("living", "addresses"),
        [
            ("127.0.0.1", ["127.0.0.1"]),
            ("::1", ["::1"]),
            # Nothing listens on this port of the other address: the library falls back.
            ("127.0.0.1", ["::1", "127.0.0.1"]),
            ("::1", ["127.0.0.1", "::1"]),
        ],
        ids=["IPv4 only", "IPv6 only", "IPv6 is dead", "IPv4 is dead"],
    )
    def test_families(self, driver, request, monkeypatch, living, addresses):
        if "::1" in addresses:
            need_ipv6()
        running = request.getfixturevalue("lattice" if living == "127.0.0.1" else "lattice_v6")
        resolve = socket.getaddrinfo

        def resolved(host, port, *arguments, **named):
            name = host.decode() if isinstance(host, bytes) else host
            if name != "dual.example.com":
                return resolve(host, port, *arguments, **named)
            return [one for at in addresses for one in resolve(at, port, *arguments, **named)]

        names = told(FRIENDLY, connect_to=f"dual.example.com:{running.port}")
        with ExitStack() as held:
            for dead in set(addresses) - {living}:
                held.enter_context(nobody_listening(dead, running.port))
            monkeypatch.setattr(socket, "getaddrinfo", resolved)
            call = held.enter_context(driver.client(auth_of(driver, names), running.ca_file))
            assert call("GET", f"https://{FRIENDLY}/").status == 200
        assert_led(running, FRIENDLY)

    @pytest.mark.parametrize("address", ["", "a b", "http://10.0.0.1", "10.0.0.1:99999", "[::1"])
    def test_no_address(self, driver, lattice, address):
        names = told(FRIENDLY, connect_to=address)
        with (
            driver.client(auth_of(driver, names), lattice.ca_file) as call,
            pytest.raises(ConfigurationError),
        ):
            call("GET", f"https://{FRIENDLY}/")


@contextmanager
def nobody_listening(address, port):
    """Holds the port, which another program could listen at otherwise; connections are refused."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as held:
        try:
            held.bind((address, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            pytest.skip(f"another program listens at port {port} of {address}")
        yield


CONNECT_ERRORS = (
    httpx.ConnectError,
    httpx2.ConnectError,
    aiohttp.ClientConnectorCertificateError,
)


@pytest.mark.parametrize("driver", NOT_LEADING, ids=named)
def test_hooks_that_cannot_lead_a_request_say_so(driver, lattice):
    names = told(FRIENDLY)
    with raw_server() as server, driver.client(auth_of(driver, names), lattice.ca_file) as call:
        names.known[FRIENDLY] = Endpoint(FRIENDLY, REGION, f"127.0.0.1:{server.port}")
        with pytest.raises(ConfigurationError, match=r"Session of lattice_client\.requests"):
            call("GET", f"http://{FRIENDLY}/")
        assert server.connections == 0


TARGETS = [
    "/a//b/./c/../d;e=1/%7e%2F%41",
    "/a b/ü/|^`{}",
    "/'()*!$&,:=@~",
    "/?a=%41&b=+&&c=d=e&=f&g",
    "/?q=a/b?c:d;e&z=%e2%82%ac&y='\"<>",
    "?a=1",
]


@pytest.mark.parametrize("driver", DRIVERS, ids=named)
def test_targets_stay_as_the_library_writes_them(driver, lattice):
    """With another host in the URL, what is signed is still what is sent."""
    names = Told({"orders.example.com": Endpoint("localhost", REGION)})
    direct = driver.auth(region=REGION, credentials=canary.credentials())
    with (
        raw_server() as server,
        driver.client(auth_of(driver, names), lattice.ca_file) as call,
        driver.client(direct, lattice.ca_file) as without,
    ):
        address = f"localhost:{server.port}"
        names.known["a.example.com"] = Endpoint("a.example.com", REGION, address)
        for target in TARGETS:
            server.requests.clear()
            without("GET", f"http://{address}{target}")
            call("GET", f"http://orders.example.com:{server.port}{target}")
            if driver in LEADING:
                call("GET", f"http://a.example.com{target}")
            assert all(request.verified() for request in server.requests)
            assert len({request.target for request in server.requests}) == 1


@pytest.mark.parametrize("driver", DRIVERS, ids=named)
class TestAliasOnly:
    def test_host_and_sni_are_the_managed_name(self, driver, lattice):
        managed = lattice.service("orders").managed_name
        names = Told(
            {
                "orders.example.com": Endpoint(managed, managed_name=managed),
                managed: Endpoint(managed, managed_name=managed),
            }
        )
        with (
            lattice.resolving(),  # the managed name, and not the alias
            driver.client(auth_of(driver, names), lattice.ca_file) as call,
        ):
            answer = call("GET", f"https://orders.example.com:{lattice.port}/a?b=+", headers={})
            assert answer.status == 200
            assert_led(lattice, managed)
            # These keep the address that they connect to out of the answer.
            hidden = driver in CLIENTS or "aiohttp" in driver.name
            host = "orders.example.com" if hidden else managed
            assert answer.url.startswith(f"https://{host}:{lattice.port}/a?b=")


class TestOwnTransports:
    """Of httpx and httpx2: the caller's own transport holds connections by the URL's host alone."""

    @pytest.mark.parametrize("module", [lattice_client.httpx, lattice_client.httpx2])
    def test_two_names_at_one_address_are_refused(self, module, lattice):
        library = httpx if module is lattice_client.httpx else httpx2
        address = f"127.0.0.1:{lattice.port}"
        managed = lattice.service("orders").managed_name
        names = Told({name: Endpoint(name, REGION, address) for name in (FRIENDLY, managed)})
        auth = LatticeAuth(credentials=canary.credentials(), names=names)
        context = ssl.create_default_context(cafile=lattice.ca_file)
        for client in (
            module.Client(auth=auth, transport=library.HTTPTransport(verify=context)),
            library.Client(
                transport=module.Transport(auth, transport=library.HTTPTransport(verify=context))
            ),
        ):
            with client:
                assert client.get(f"https://{FRIENDLY}/").status_code == 200
                assert client.get(f"https://{FRIENDLY}/").status_code == 200
                with pytest.raises(ConfigurationError, match="leave transport=… out"):
                    client.get(f"https://{managed}/")

    @pytest.mark.parametrize("module", [lattice_client.httpx, lattice_client.httpx2])
    @pytest.mark.parametrize("led_first", [True, False])
    def test_a_name_and_the_address_itself_are_refused(self, module, led_first, lattice):
        """A connection whose certificate was checked for one name is not used for another."""
        library = httpx if module is lattice_client.httpx else httpx2
        stranger = "localhost"
        address = f"{stranger}:{lattice.port}"
        endpoints = Endpoint(FRIENDLY, REGION, address), Endpoint(stranger, is_lattice=False)
        names = Told({endpoint.host: endpoint for endpoint in endpoints})
        auth = LatticeAuth(credentials=canary.credentials(), names=names)
        context = ssl.create_default_context(cafile=lattice.ca_file)
        context.check_hostname = False
        transport = library.HTTPTransport(verify=context)
        urls = [f"https://{FRIENDLY}/", f"https://{address}/"]
        with module.Client(auth=auth, transport=transport) as client:
            first, second = urls if led_first else reversed(urls)
            client.get(first)
            with pytest.raises(ConfigurationError, match="would share TLS connections"):
                client.get(second)

    def test_hosts_are_not_remembered_without_end(self, monkeypatch):
        monkeypatch.setattr("lattice_client._httpx.connections._MAX_ADDRESSES", 3)
        strangers = [*(f"{letter}.example.com" for letter in "abcdef"), "10.0.0.7"]
        names = Told({name: Endpoint(name, is_lattice=False) for name in strangers})
        names.known[FRIENDLY] = Endpoint(FRIENDLY, REGION, "10.0.0.7")
        auth = LatticeAuth(credentials=canary.credentials(), names=names)
        own = httpx.MockTransport(lambda _: httpx.Response(200))
        transport = lattice_client.httpx.Transport(auth, transport=own)
        with httpx.Client(transport=transport) as client:
            for name in (FRIENDLY, *strangers[:-1]):
                assert client.get(f"https://{name}/").status_code == 200
                assert len(transport._inner._names) <= 3
            with pytest.raises(ConfigurationError, match="would share TLS connections"):
                client.get("https://10.0.0.7/")

    @pytest.mark.parametrize("module", [lattice_client.httpx, lattice_client.httpx2])
    def test_a_transport_made_here_keeps_them_apart(self, module, lattice):
        library = httpx if module is lattice_client.httpx else httpx2
        address = f"127.0.0.1:{lattice.port}"
        managed = lattice.service("orders").managed_name
        names = Told({name: Endpoint(name, REGION, address) for name in (FRIENDLY, managed)})
        auth = LatticeAuth(credentials=canary.credentials(), names=names)
        context = ssl.create_default_context(cafile=lattice.ca_file)
        with library.Client(transport=module.Transport(auth, verify=context)) as client:
            for name in (FRIENDLY, managed) * 2:
                assert client.get(f"https://{name}/").status_code == 200
                assert_led(lattice, name)


@pytest.mark.parametrize("module", [lattice_client.httpx, lattice_client.httpx2])
class TestManyNames:
    """Each name has a pool; idle pools are closed when there are many."""

    def test_sync(self, module, lattice, monkeypatch):
        monkeypatch.setattr("lattice_client._httpx.connections._MAX_NAMES", 2)
        with module.Client(**self.settings(lattice)) as client:
            with client.stream("GET", f"https://{FRIENDLY}/") as first:
                for _ in range(2):
                    for name in lattice.lattice.names:
                        assert client.get(f"https://{name}/").status_code == 200
                # It was busy all the time.
                assert first.read()
            client.get(f"https://{FRIENDLY}/")
            assert len(client._transport._inner.others()) <= 3

    def test_async(self, module, lattice, monkeypatch):
        monkeypatch.setattr("lattice_client._httpx.connections._MAX_NAMES", 2)

        async def scenario() -> None:
            async with module.AsyncClient(**self.settings(lattice)) as client:
                async with client.stream("GET", f"https://{FRIENDLY}/") as first:
                    for _ in range(2):
                        for name in lattice.lattice.names:
                            assert (await client.get(f"https://{name}/")).status_code == 200
                    assert await first.aread()
                assert len(client._transport._inner.others()) <= 3

        anyio.run(scenario, backend="trio")

    def settings(self, lattice) -> dict[str, object]:
        for number in range(4):
            if f"tenant-{number}" not in {one.name for one in lattice.lattice.services}:
                lattice.add_service(f"tenant-{number}")
        address = f"127.0.0.1:{lattice.port}"
        names = Told({name: Endpoint(name, REGION, address) for name in lattice.lattice.names})
        return {
            "auth": LatticeAuth(credentials=canary.credentials(), names=names),
            "verify": ssl.create_default_context(cafile=lattice.ca_file),
        }


@pytest.mark.parametrize("module", [lattice_client.httpx, lattice_client.httpx2])
class TestHttp2:
    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_two_names_at_one_address_do_not_mix(self, module, backend, tmp_path):
        hosts = [FRIENDLY, "orders.internal.example.com"]

        async def scenario(server) -> None:
            address = server.url.removeprefix("https://localhost")
            names = Told({host: Endpoint(host, REGION, f"127.0.0.1{address}") for host in hosts})
            async with (
                module.AsyncClient(
                    auth=LatticeAuth(credentials=canary.credentials(), names=names),
                    http2=True,
                    verify=ssl.create_default_context(cafile=server.ca_file),
                ) as client,
                anyio.create_task_group() as tasks,
            ):
                for host in hosts:
                    response = await client.get(f"https://{host}/")
                    assert response.http_version == "HTTP/2"
                for number in range(10):
                    tasks.start_soon(client.get, f"https://{hosts[number % 2]}/{number}")

        with h2_server(lambda _: (200, b"ok"), tmp_path, names=hosts) as server:
            anyio.run(scenario, server, backend=backend)
            assert len(server.requests) == 12
            assert all(request.verified() for request in server.requests)
            assert {request.header("host") for request in server.requests} == set(hosts)
            assert server.server_names == hosts


class TestProxies:
    """A proxy chooses the address, so an address to connect to and a proxy exclude each other."""

    def names(self) -> Told:
        return Told(
            {
                FRIENDLY: Endpoint(FRIENDLY, REGION, "127.0.0.1"),
                "orders.example.com": Endpoint("managed.example.com", REGION),
            }
        )

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_with_an_address(self, scheme):
        auth = LatticeAuth(credentials=canary.credentials(), names=self.names())
        url = f"{scheme}://{FRIENDLY}/"

        async def by_aiohttp(proxy: str) -> None:
            async with (
                lattice_client.aiohttp.client_session(auth) as session,
                session.get(url, proxy=proxy),
            ):
                pass

        with raw_server() as proxy:
            with lattice_client.requests.Session(auth) as session:
                session.proxies = {"http": proxy.url, "https": proxy.url}
                with pytest.raises(ConfigurationError, match="one of them has to go"):
                    session.get(url)
            for module in (lattice_client.httpx, lattice_client.httpx2):
                with (
                    module.Client(auth=auth, proxy=proxy.url, verify=False) as client,
                    pytest.raises(ConfigurationError, match="one of them has to go"),
                ):
                    client.get(url)
            with pytest.raises(ConfigurationError, match="one of them has to go"):
                asyncio.run(by_aiohttp(proxy.url))
            assert proxy.connections == 0

    def test_an_alias(self):
        auth = LatticeAuth(credentials=canary.credentials(), names=self.names())
        url = "http://orders.example.com/x"

        async def by_aiohttp(proxy: str) -> None:
            async with (
                lattice_client.aiohttp.client_session(auth) as session,
                session.get(url, proxy=proxy) as response,
            ):
                assert response.status == 200

        with raw_server() as proxy:
            with lattice_client.requests.Session(auth) as session:
                assert session.get(url, proxies={"http://orders.example.com": proxy.url}).url == url
            for module in (lattice_client.httpx, lattice_client.httpx2):
                with module.Client(auth=auth, proxy=proxy.url, verify=False) as client:
                    assert client.get(url).url == url
            asyncio.run(by_aiohttp(proxy.url))
        assert len(proxy.requests) == 4
        for request in proxy.requests:
            assert request.target == b"http://managed.example.com/x"
            assert request.header("host") == "managed.example.com"
            assert request.verified()
