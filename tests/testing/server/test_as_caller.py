"""A program that knows no local Lattice calls it, within ``as_caller``, as what a test names."""

from __future__ import annotations

import asyncio
import errno
import multiprocessing
import os
import socket
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp
import certifi
import httpx
import pytest
import requests

from lattice_client import LatticeAuth
from lattice_client.credentials.environment import read_environment_again
from lattice_client.testing import LocalLattice, serve
from lattice_client.testing.server.acting import trusted_bundle
from support import callers_program as program
from support.ipv6 import need_ipv6

HOST = "orders.internal.example.com"
PATH = f"{HOST}/orders"
HAS_UVLOOP = "httpx, uvloop" in program.WAYS
NO_UVLOOP = "uvloop is not installed"


def arn(name):
    return f"arn:aws:sts::111122223333:assumed-role/{name}/session"


def _lattice(region="us-west-2"):
    local = LocalLattice(region=region)
    local.add_service("orders", domain=HOST)
    local.add_caller("shop")
    local.add_caller("reports")
    return local


@pytest.fixture(scope="module", params=["http", "https"])
def running(request):
    with serve(_lattice(), tls=request.param == "https") as served:
        yield served


@pytest.fixture
def plain():
    with serve(_lattice()) as served:
        yield served


@pytest.fixture(params=["requests", "httpx", "httpx2", "httpx, asyncio"])
def way(request):
    return program.WAYS[request.param]


def process_state():
    """What ``as_caller`` changes."""
    owners = {socket: socket, socket.socket: socket.socket, ssl.SSLContext: ssl.SSLContext}
    names = ("getaddrinfo", "gethostbyname", "connect", "connect_ex", "wrap_socket", "wrap_bio")
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    return environment, [vars(owner).get(name) for owner in owners for name in names]


@pytest.fixture(autouse=True)
def _all_is_put_back():
    before = process_state()
    yield
    assert process_state() == before


@pytest.fixture(scope="module", autouse=True)
def _clients_are_closed():
    yield
    for client in (program.SESSION, *program.CLIENTS.values()):
        client.close()


# The program, unchanged


@pytest.mark.parametrize(
    "way",
    [
        *program.WAYS,
        *([] if HAS_UVLOOP else [pytest.param("uvloop", marks=pytest.mark.skip(NO_UVLOOP))]),
    ],
)
def test_every_library_calls_as_the_caller(running, way):
    url = f"{running.scheme}://{PATH}"
    if (way, running.scheme, aiohttp.__version__) == ("aiohttp, uvloop", "https", "3.12.0"):
        pytest.skip("this aiohttp closes no TLS connection before uvloop's loop ends")
    for name in ("shop", "reports"):  # at once, with the same auth object
        with running.as_caller(name) as caller:
            assert caller is running.caller(name)
            seen = program.WAYS[way](url)
        assert seen == ("nobody" if way.startswith("streams") else arn(name))
    assert running.access_log[-1]["hostHeader"] == HOST


def test_a_thread_is_led_as_well(running):
    with running.as_caller("shop"), ThreadPoolExecutor(1) as pool:
        url = f"{running.scheme}://{PATH}"
        for way in ("requests", "httpx, asyncio"):
            assert pool.submit(program.WAYS[way], url).result(20) == arn("shop")


def test_a_process_is_led_as_well(running):
    """Also one that is started by one."""
    url = f"{running.scheme}://{PATH}"
    command = [sys.executable, program.__file__, url, *program.WAYS]
    through = f"import subprocess, sys; sys.exit(subprocess.run({command!r}).returncode)"
    with running.as_caller("shop"):
        done = subprocess.run(
            [sys.executable, "-c", through], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.stderr == ""
    seen = dict(line.split("=") for line in done.stdout.splitlines())
    assert seen == {
        way: "nobody" if way.startswith("streams") else arn("shop") for way in program.WAYS
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the machine cannot fork")
def test_processes_of_the_fork_server(plain):
    """It keeps the environment of its start, and is the default of Python 3.14 on Linux."""
    from_server = multiprocessing.get_context("forkserver")

    def in_process(*call):
        with from_server.Pool(1) as pool:
            return pool.apply(*call)

    key = (os.getenv, ("AWS_ACCESS_KEY_ID",))
    with from_server.Pool(1) as before:
        theirs = before.apply(*key)
        for name in ("shop", "reports"):
            with plain.as_caller(name) as caller:
                assert in_process(*key) == caller.credentials.access_key
                assert in_process(socket.gethostbyname, (HOST,)).startswith("127.83.")
        assert in_process(*key) == theirs
        assert before.apply(*key) == theirs


def test_at_an_ipv6_address():
    need_ipv6()
    with serve(_lattice(), host="::1", tls=True) as running, running.as_caller("shop"):
        for way in set(program.WAYS) - {"streams, asyncio", "streams, uvloop"}:
            assert program.WAYS[way](f"https://{PATH}") == arn("shop"), way


def test_asynchronously(running):
    async def main():
        async with (
            running.as_caller("shop") as caller,
            httpx.AsyncClient(auth=program.AUTH) as client,
        ):
            response = await client.get(f"{running.scheme}://{PATH}")
        return caller.name, response.json()["caller"]

    assert asyncio.run(main()) == ("shop", arn("shop"))


def test_managed_names_and_the_servers_own_port_lead_there_too(plain, way):
    service = plain.service("orders")
    with plain.as_caller("shop"):
        auth = LatticeAuth()
        answer = requests.get(f"http://{service.managed_name}/orders", auth=auth, timeout=10)
        assert answer.json()["caller"] == arn("shop")
        assert way(plain.url_for("orders")) == arn("shop")
        rates = plain.add_service("rates", domain="rates.internal.example.com")
        assert way(f"http://{rates.host}/") == arn("shop")


def test_the_ports_of_listeners_lead_there(way):
    local = _lattice()
    local.service("orders").add_listener("HTTP", 8080)
    with serve(local) as running, running.as_caller("shop"):
        assert way(f"http://{HOST}:8080/orders") == arn("shop")
        with pytest.raises(OSError, match=r"port 80 of orders\.internal"):
            socket.create_connection((HOST, 80))


def test_another_region_for_the_same_auth_object(way):
    for region in ("eu-west-1", "us-west-2"):
        with serve(_lattice(region)) as running, running.as_caller("shop"):
            assert way(f"http://{PATH}") == arn("shop")


def test_aiodns_is_led_where_it_is_installed(plain):
    pytest.importorskip("aiodns")
    with plain.as_caller("shop"):
        calling = program.with_aiohttp(f"http://{PATH}", aiohttp.AsyncResolver)
        assert asyncio.run(calling) == arn("shop")


@pytest.mark.usefixtures("nothing_diverted")
def test_a_resolver_in_c_is_asked_for_the_stand_in(plain, tmp_path, monkeypatch):
    """The names of services go to no name server."""
    (tmp_path / "aiodns.py").write_text(
        "class DNSResolver:\n    def getaddrinfo(self, host, *, port):\n        return host\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "aiodns", raising=False)
    with plain.as_caller("shop"):
        import aiodns

        resolver = aiodns.DNSResolver()
        assert resolver.getaddrinfo(HOST, port=80).startswith("127.83.")
        assert resolver.getaddrinfo("example.org", port=80) == "example.org"
        with pytest.raises(ConnectionRefusedError, match="port 443"):
            resolver.getaddrinfo(HOST, port=443)
    assert resolver.getaddrinfo(HOST, port=80) == HOST
    del sys.modules["aiodns"]


# What does not lead there


@pytest.mark.parametrize(
    ("tls", "advice"), [(True, "lattice, or serve()"), (False, "lattice_tls, or")]
)
def test_the_other_scheme_is_an_error_that_says_so(tls, advice):
    with serve(_lattice(), tls=tls) as running, running.as_caller("shop"):
        other, port = ("http", 80) if tls else ("https", 443)
        problem = rf"port {port} of {HOST} does not lead to the local Lattice.*{advice}"
        url = f"{other}://{PATH}"
        with pytest.raises(requests.ConnectionError, match=problem):
            requests.get(url, timeout=10)
        with pytest.raises(httpx.ConnectError, match=problem):
            httpx.get(url)
        with pytest.raises(aiohttp.ClientConnectorError, match=problem):
            asyncio.run(program.with_aiohttp(url))
        for way in ("httpx, asyncio", "httpx, trio", "httpx, uvloop"):
            if way in program.WAYS:
                with pytest.raises(httpx.ConnectError, match=problem):
                    program.WAYS[way](url)
    assert running.access_log == []


def test_connections_by_name_and_by_address(plain):
    with plain.as_caller("shop"):
        for host in (HOST, f"{HOST.upper()}.", HOST.encode(), socket.gethostbyname(HOST)):
            with socket.create_connection((host, 80), timeout=10) as connection:
                assert connection.getpeername() == ("127.0.0.1", plain.port)
            with socket.socket() as unresolved:
                assert unresolved.connect_ex((host, 80)) == 0
        assert socket.gethostbyname_ex(HOST)[2] == [socket.gethostbyname(HOST)]
        with pytest.raises(ConnectionRefusedError, match="port 22") as caught:
            socket.getaddrinfo(HOST, "ssh")
        assert caught.value.errno == errno.ECONNREFUSED
        # Other addresses and other kinds of sockets are left alone.
        with socket.create_connection(("127.0.0.1", plain.port), timeout=10):
            pass
        with socket.socket(socket.AF_UNIX) as other, pytest.raises(FileNotFoundError):
            other.connect("/no/such/socket")


def test_a_stranger_is_named_with_those_there_are(plain):
    with pytest.raises(KeyError, match="no caller 'stranger'; there are: reports, shop"):
        plain.as_caller("stranger")


def test_other_servers_are_checked_as_before():
    """A context that trusts nothing still trusts nothing but this server, for its names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with serve(_lattice(), tls=True) as running, running.as_caller("shop"):
        assert httpx.get(f"https://{PATH}", verify=context).status_code == 403
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(running.url, verify=context)
    assert context.get_ca_certs() == []


# The environment


@pytest.fixture
def profile(monkeypatch, tmp_path):
    """A developer's shell: a profile, a proxy, and a sitecustomize."""
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.theirs = 1\n")
    authority = tmp_path / "corporate.pem"
    authority.write_text("# corporate\n" + Path(os.environ["SSL_CERT_FILE"]).read_text())
    given = {
        "AWS_PROFILE": "no-such-profile",
        "AWS_DEFAULT_REGION": "ap-south-1",
        "AWS_CREDENTIAL_EXPIRATION": "2001-01-01T00:00:00Z",
        "AWS_SECURITY_TOKEN": "old",
        "PYTHONPATH": str(tmp_path),
        "REQUESTS_CA_BUNDLE": str(authority),
        "no_proxy": "corp.example.com",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "LATTICE_CLIENT_NAMES": "orders=eu-west-1@127.0.0.1:9",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return given


def test_what_was_set_neither_wins_nor_is_lost(running, profile, monkeypatch):
    with running.as_caller("shop"):
        assert "AWS_PROFILE" not in os.environ
        assert os.environ["AWS_REGION"] == os.environ["AWS_DEFAULT_REGION"] == "us-west-2"
        for name in ("no_proxy", "NO_PROXY"):
            assert os.environ[name].split(",")[-1] == "corp.example.com"
        for way in ("requests", "httpx, asyncio", "our requests"):
            assert program.WAYS[way](f"{running.scheme}://{PATH}") == arn("shop")
        response = httpx.get(f"{running.scheme}://{PATH}", auth=LatticeAuth())
        assert response.json()["caller"] == arn("shop")
        told = subprocess.run(
            [sys.executable, "-c", "print(theirs)"], capture_output=True, text=True, check=True
        )
        assert told.stdout == "1\n"
        if running.scheme == "https":
            trusted = Path(os.environ["REQUESTS_CA_BUNDLE"]).read_text()
            assert trusted.startswith("# corporate")
            assert Path(running.ca_file).read_text() in trusted
            assert (
                Path(running.ca_file).read_text() in Path(os.environ["SSL_CERT_FILE"]).read_text()
            )
            monkeypatch.delenv("HTTPS_PROXY")
            assert requests.get(running.url, timeout=10).status_code == 403
            assert httpx.get(running.url).status_code == 403
            monkeypatch.setenv("HTTPS_PROXY", profile["HTTPS_PROXY"])
    assert {name: os.environ[name] for name in profile} == profile


@pytest.mark.parametrize("hidden", ["CURL_CA_BUNDLE", "SSL_CERT_DIR"])
def test_authorities_of_a_variable_that_is_read_only_alone_stay_trusted(tmp_path, hidden):
    """What ``as_caller`` sets would hide it. Of a folder there is no file with one more."""
    theirs, ours = tmp_path / "theirs.pem", tmp_path / "ours.pem"
    theirs.write_text("# theirs")
    ours.write_text("# ours")
    kept = {"CURL_CA_BUNDLE": str(theirs), "SSL_CERT_DIR": f"{tmp_path}{os.pathsep}/none"}[hidden]
    values = trusted_bundle(tmp_path, str(ours), {hidden: kept})
    if hidden == "CURL_CA_BUNDLE":
        assert Path(values["REQUESTS_CA_BUNDLE"]).read_text() == "# theirs\n# ours"
    else:
        assert "SSL_CERT_FILE" not in values


def test_what_openssl_trusts_by_default_stays_trusted(tmp_path, monkeypatch):
    """Beside certifi's authorities: companies add theirs to the system's."""
    files = {name: tmp_path / name for name in ("ours", "certifi", "system")}
    for name, file in files.items():
        file.write_text(f"# {name}\n")
    monkeypatch.setattr(certifi, "where", lambda: str(files["certifi"]))
    monkeypatch.setenv("SSL_CERT_FILE", str(files["system"]))  # OpenSSL's default, in this process
    values = trusted_bundle(tmp_path, str(files["ours"]), {})
    trusted = Path(values["SSL_CERT_FILE"]).read_text().split("\n")
    assert {f"# {name}" for name in files} <= set(trusted)


def test_a_user_has_no_token(plain, way):
    plain.add_caller("user", token=False)
    with plain.as_caller("shop"), plain.as_caller("user"):
        assert "AWS_SESSION_TOKEN" not in os.environ
        assert way(f"http://{PATH}") == arn("user")


@pytest.mark.parametrize("version", [(3, 6), (3, 7), (3, 8), (3, 9), (3, 10)])
def test_a_process_of_an_older_python_is_led_or_does_not_run(plain, version):
    """The program under test may start tools that have another Python."""
    older = [found for found in pythons() if found.parts[-3].startswith("{}.{}.".format(*version))]
    if not older:
        pytest.skip("the machine has no such Python")
    calling = f"import socket; print(socket.create_connection(({HOST!r}, 80)).getpeername())"
    with plain.as_caller("shop"):
        command = [str(older[0]), "-c", calling]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if version >= (3, 8):
        assert (done.stdout, done.stderr) == (f"('127.0.0.1', {plain.port})\n", "")
    else:
        assert (done.returncode, done.stdout) == (1, "")
        assert "cannot be led to the local Lattice: RuntimeError('Python 3.8" in done.stderr


def pythons():
    """The Pythons that pyenv has installed."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return sorted(root.glob("versions/*/bin/python3"))


def test_a_process_that_cannot_be_led_does_not_run(plain):
    with plain.as_caller("shop"):
        environment = os.environ | {"LATTICE_CLIENT_DIVERT": "no JSON"}
        done = subprocess.run(
            [sys.executable, "-c", "print('ran')"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert "lattice_client: calls cannot be led to the local Lattice" in done.stderr


# Put back


class ProgramError(Exception):
    pass


def fails_after(way, url, name):
    assert way(url) == arn(name)
    raise ProgramError


def test_nested_and_restored_under_exceptions(running, way):
    url = f"{running.scheme}://{PATH}"
    before = process_state()
    with running.as_caller("shop"):
        outer = dict(os.environ)
        with pytest.raises(ProgramError), running.as_caller("reports"):
            fails_after(way, url, "reports")
        assert dict(os.environ) == outer
        assert way(url) == arn("shop")
    assert process_state() == before


def test_the_same_context_twice(plain, way):
    acting = plain.as_caller("shop")
    with acting, plain.as_caller("reports"), acting:
        assert way(f"http://{PATH}") == arn("shop")


def test_two_lattices_with_the_same_names(way):
    with serve(_lattice()) as first, serve(_lattice()) as second:
        for running in (first, second, first):
            with running.as_caller("shop"):
                assert way(f"http://{PATH}") == arn("shop")
        assert [len(running.access_log) for running in (first, second)] == [2, 1]
        before = len(first.access_log)
        with first.as_caller("shop"):
            way(f"http://{PATH}")
            with second.as_caller("reports"):  # not over the connection that is kept open
                assert way(f"http://{PATH}") == arn("reports")
            assert way(f"http://{PATH}") == arn("shop")
        assert [len(running.access_log) for running in (first, second)] == [before + 2, 2]


def test_an_address_that_a_client_remembers_leads_to_the_next_server():
    """aiohttp keeps what it has resolved for ten seconds."""

    async def main():
        connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
        async with aiohttp.ClientSession(middlewares=(program.AUTH,), connector=connector) as kept:
            for name in ("shop", "reports"):
                with serve(_lattice()) as running, running.as_caller(name):
                    async with kept.get(f"http://{PATH}") as response:
                        assert (await response.json())["caller"] == arn(name)
            with pytest.raises(aiohttp.ClientConnectorError, match=r"127\.83\."):
                await kept.get(f"http://{PATH}", middlewares=())

    asyncio.run(main())


def test_kept_connections_end_with_it(plain):
    """Else a client that lives longer would go on calling the local Lattice."""
    with httpx.Client(auth=program.AUTH) as client:
        with plain.as_caller("shop"):
            response = client.get(f"http://{PATH}")
        kept = response.extensions["network_stream"].get_extra_info("socket")
        assert kept.recv(1) == b""


def test_an_auth_object_has_its_credentials_back_at_once(plain, way, monkeypatch):
    theirs = plain.add_caller("theirs", token=False).credentials
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", theirs.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", theirs.secret_key)
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    read_environment_again()
    with plain.resolving():
        url = plain.url_for("orders")
        seen = [way(url)]
        with plain.as_caller("shop"):
            seen.append(way(url))
        seen.append(way(url))
    assert seen == [plain.caller(name).principal for name in ("theirs", "shop", "theirs")]


def test_what_it_cannot_begin_it_puts_back(plain, monkeypatch):
    def fail(_):
        raise ProgramError

    monkeypatch.setattr(plain, "_forget", lambda: None)
    acting = plain.as_caller("shop")
    monkeypatch.setattr(acting, "_changes", fail)
    with pytest.raises(ProgramError), acting:
        pytest.fail("it began")


@pytest.mark.usefixtures("nothing_diverted")
def test_an_interrupt_while_it_begins_leaves_nothing(plain, tmp_path, monkeypatch):
    """It imports event loops then, which takes a while."""
    (tmp_path / "aiodns.py").write_text("raise KeyboardInterrupt\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "aiodns", raising=False)
    before = process_state()
    with pytest.raises(KeyboardInterrupt), plain.as_caller("shop"):
        pytest.fail("it began")
    assert process_state() == before


def test_from_many_threads_in_turn(plain):
    """Contexts of one process take turns; a lock of the tests' is enough."""
    lock = threading.Lock()

    def work(name):
        for _ in range(5):
            with lock, plain.as_caller(name):
                assert program.WAYS["requests"](f"http://{PATH}") == arn(name)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, ("shop", "reports")))
