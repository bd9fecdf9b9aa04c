"""``lattice-client call``, over real sockets."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from lattice_client.cli.redaction import Redaction
from lattice_client.cli.verbose_log import VerboseLog
from lattice_client.cli.write_out import WriteOut
from lattice_client.testing import LocalLattice, serve
from support import canary
from support.raw_server import OK, raw_server, redirect_to

NAME = "orders.internal.example.com"


@pytest.fixture
def url(lattice_http):
    lattice_http.lattice.clear()
    return lattice_http.url_for("orders")


@pytest.fixture
def server():
    with raw_server() as running:
        yield running


@pytest.fixture
def sent(run, credentials, server):
    """The request as received."""

    def sent(*arguments, code=0):
        result = run("call", f"{server.url}/orders", *arguments)
        assert result.code == code, result.stderr
        return server.requests[-1]

    return sent


@pytest.mark.parametrize("options", [[], ["-v"]])
def test_why_it_is_not_signed(run, credentials, server, options):
    """A warning, which -v has among its own lines."""
    to = ("--connect-to", f"127.0.0.1:{server.port}", *options)
    result = run("call", "http://db-0a1b.7d67968.vpc-lattice-rsc.us-west-2.on.aws/", *to)
    assert not server.requests[-1].signed
    assert result.stderr.count("no signature is verified there") == 1
    assert result.stderr.count("call it without an auth object") == 1
    assert ("* not signed: it is a resource's name" in result.stderr) == bool(options)


def test_why_what_follows_a_redirect_is_not_signed(run, credentials):
    """To be expected, so it is said with -v alone."""
    with raw_server() as other, raw_server(lambda _: redirect_to(other.url)) as server:
        assert "not signed" not in run("call", "-L", server.url).stderr
        result = run("call", "-L", "-v", server.url)
        assert [request.signed for request in other.requests] == [False, False]
    assert result.stderr.count("* not signed: a redirect leads there from another origin") == 1


@pytest.fixture
def stdin(monkeypatch):
    def put(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return put


# The request


def test_a_call(run, credentials, lattice_http, url):
    result = run("call", f"{url}/orders?status=open")
    assert result.code == 0
    assert result.stderr == ""
    seen = result.json
    assert (seen["method"], seen["path"], seen["query"]) == ("GET", "/orders", "status=open")
    assert seen["caller"] == lattice_http.caller("orders-frontend").principal


def test_it_sends_what_curl_sends(sent):
    request = sent()
    names = [name.decode().lower() for name, _ in request.headers]
    assert [name for name in names if not name.startswith(("x-amz", "authorization"))] == [
        "host",
        "user-agent",
        "accept",
    ]
    assert request.verified()


def test_the_curl_example_of_a_tutorial(run, server):
    """From "SIGv4 authenticated requests" and the blog posts, with another command name."""
    held = canary.credentials()
    result = run(
        "call",
        *("--request", "POST", f"{server.url}/orders"),
        *("--aws-sigv4", "aws:amz:us-west-2:vpc-lattice-svcs"),
        *("--header", f"x-amz-security-token:{held.token}"),
        *("--header", "x-amz-content-sha256:UNSIGNED-PAYLOAD"),
        *("--header", "content-type: application/json"),
        *("--user", f"{held.access_key}:{held.secret_key}"),
        *("--data", '{"item": "espresso"}'),
    )
    assert result.code == 0, result.stderr
    (request,) = server.requests
    assert request.verified().access_key == held.access_key
    assert request.header("content-type") == "application/json"
    assert request.body == b'{"item": "espresso"}'


@pytest.mark.parametrize(
    ("arguments", "method", "body", "kind"),
    [
        (["-d", "a=1", "-d", "b=2", "--data-raw", "@c"], "POST", b"a=1&b=2&@c", "form"),
        (["-d", "@FILE"], "POST", b"one,two", "form"),
        (["--data-binary", "@FILE"], "POST", b"one,\ntwo\n", "form"),
        (["--data-urlencode", "q=a b&c"], "POST", b"q=a%20b%26c", "form"),
        (["--data-urlencode", "q@FILE"], "POST", b"q=one%2C%0Atwo%0A", "form"),
        (["--json", '{"a": 1}'], "POST", b'{"a": 1}', "json"),
        (["--json", '{"a": 1}', "-X", "PUT"], "PUT", b'{"a": 1}', "json"),
        (["-d", "@-"], "POST", b"fromstdin", "form"),
        (["-T", "FILE"], "PUT", b"one,\ntwo\n", None),
        (["-T", "-"], "PUT", b"from\nstdin", None),
        (["-X", "DELETE"], "DELETE", b"", None),
    ],
)
def test_bodies(sent, stdin, tmp_path, arguments, method, body, kind):
    stdin(b"from\nstdin")
    file = tmp_path / "orders.csv"
    file.write_bytes(b"one,\ntwo\n")
    request = sent(*(argument.replace("FILE", str(file)) for argument in arguments))
    assert (request.method, request.body) == (method, body)
    kinds = {"form": "application/x-www-form-urlencoded", "json": "application/json", None: None}
    assert request.header("content-type") == kinds[kind]
    assert request.verified()


def test_data_in_the_query(sent):
    request = sent("-G", "-d", "a=1", "--data-urlencode", "q=b c")
    assert (request.method, request.body) == ("GET", b"")
    assert request.target == b"/orders?a=1&q=b%20c"
    assert request.verified()


def test_headers(sent, tmp_path):
    lines = tmp_path / "headers"
    lines.write_text("X-From-File: yes\n\n")
    request = sent("-H", "accept:", "-H", "X-Empty;", "-H", "User-Agent: me", "-H", f"@{lines}")
    assert request.header("accept") is None
    assert request.header("x-empty") == ""
    assert request.header("user-agent") == "me"
    assert request.header("x-from-file") == "yes"


def test_headers_with_their_own_options(sent):
    request = sent("-A", "me", "-e", "https://example.com/", "-b", "a=1", "-b", "b=2; c=3")
    assert request.header("user-agent") == "me"
    assert request.header("referer") == "https://example.com/"
    assert request.header("cookie") == "a=1; b=2; c=3"
    assert request.verified()
    assert sent("-b", "").header("cookie") is None
    request = sent("-A", "", "-b", "", "-b", "a=1", "-H", "Cookie: b=2")
    assert request.header("user-agent") is None
    assert request.header("cookie") == "b=2"


def test_the_url_as_an_option(run, credentials, server):
    assert run("call", "--url", f"{server.url}/orders", "-d", "a").code == 0
    assert server.requests[-1].target == b"/orders"


def test_a_signature_in_the_query_leaves_authorization(sent):
    request = sent("--query", "-H", "Authorization: Bearer of-the-service")
    assert request.header("authorization") == "Bearer of-the-service"
    assert request.verified().placement == "query"


def test_sigv4a(sent):
    assert sent("--sigv4a", "--region", "us-*,eu-west-1").verified().algorithm.startswith("AWS4-EC")


def test_another_service(sent):
    request = sent("--service", "execute-api", "-d", "a=1")
    assert request.verified(service="execute-api")


def test_unsigned(sent):
    assert not sent("--unsigned").signed


def test_a_profile(run, server, monkeypatch, tmp_path):
    held = canary.credentials()
    config = tmp_path / "config"
    config.write_text(
        f"[profile orders]\nregion=us-west-2\naws_access_key_id={held.access_key}\n"
        f"aws_secret_access_key={held.secret_key}\naws_session_token={held.token}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert run("call", server.url, "--profile", "orders").code == 0
    assert server.requests[0].verified()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--connect-to", "127.0.0.1:PORT"],
        ["--connect-to", f"{NAME}:80:127.0.0.1:PORT"],
        ["--connect-to", "::127.0.0.1:PORT"],
        ["--resolve", f"{NAME}=127.0.0.1:PORT"],
        ["--resolve", f"{NAME}=us-west-2@127.0.0.1:PORT"],
    ],
)
def test_where_a_name_leads(run, credentials, server, arguments):
    at = [argument.replace("PORT", str(server.port)) for argument in arguments]
    assert run("call", f"http://{NAME}/orders", *at).code == 0
    (request,) = server.requests
    assert request.header("host") == NAME
    assert request.verified()


def test_curls_resolve_takes_an_address_for_a_name_and_port(run, credentials, server):
    url = f"http://shop.example.com:{server.port}/"
    assert run("call", url, "--resolve", f"shop.example.com:{server.port}:127.0.0.1").code == 0
    assert server.requests[0].header("host") == f"shop.example.com:{server.port}"


def test_an_alias_is_called_by_its_managed_name(run, credentials, lattice_http, url, monkeypatch):
    managed = lattice_http.service("orders").managed_name
    monkeypatch.delenv("AWS_REGION")
    shop = f"http://shop.example.com:{lattice_http.port}/"
    assert run("call", shop, "--resolve", f"shop.example.com={managed}").code == 0
    monkeypatch.setenv("LATTICE_CLIENT_NAMES", f"shop.example.com={managed}")
    assert run("call", shop).code == 0
    assert {record["hostHeader"] for record in lattice_http.access_log} == {
        f"{managed}:{lattice_http.port}"
    }


def test_tls(run, credentials, lattice_https):
    url = lattice_https.url_for("orders")
    result = run("call", url, "--cacert", lattice_https.ca_file, "-v")
    assert result.code == 0
    assert "* TLSv1.3" in result.stderr
    assert run("call", url, "--insecure").code == 0
    at = "--connect-to", f"127.0.0.1:{lattice_https.port}"
    trusted = "--cacert", lattice_https.ca_file
    assert run("call", f"https://{NAME}", *at, *trusted).code == 0
    assert run("call", NAME, *at, *trusted).code == 0  # without a scheme it is HTTPS


def test_a_proxy_of_the_environment(run, credentials, server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    assert run("call", "http://orders.internal.example.com/orders").code == 0
    (request,) = server.requests
    assert request.target.startswith(b"http://orders.internal.example.com/")
    assert request.verified()


def test_a_proxy_without_a_scheme(run, credentials, server):
    url = "http://orders.internal.example.com/orders"
    assert run("call", url, "-x", server.url.removeprefix("http://")).code == 0
    assert server.requests[0].target == url.encode()


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("ftp://user:word@proxy", "ftp://proxy (the proxy of --proxy)"),
        ("socks5://user:word@proxy:1", "socks5://proxy:1 (the proxy of --proxy)"),
        ("http://user:word@pro xy:no", "the given value (the proxy of --proxy)"),
        ("user:word", "the given value (the proxy of --proxy)"),
    ],
)
def test_a_proxy_that_is_none(run, credentials, url, proxy, shown):
    result = run("call", url, "--proxy", proxy)
    assert result.code == 2
    assert f"{shown} is not an HTTP proxy of the form http://HOST:PORT." in result.stderr
    assert "word" not in result.stderr


def test_a_proxy_whose_name_does_not_resolve(run, credentials, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://user:word@proxy.nowhere.invalid:3128")
    result = run("call", f"https://{NAME}/", "--retry", "1")
    assert result.code == 5
    named = "proxy.nowhere.invalid:3128 (the proxy of https_proxy) could not be resolved"
    assert named in result.stderr
    assert f"or go without it: no_proxy={NAME}." in result.stderr
    assert "word" not in result.stderr


def test_a_proxy_that_takes_no_connection(run, credentials, nobody_listens):
    result = run("call", f"http://{NAME}/", "-x", f"127.0.0.1:{nobody_listens}")
    assert result.code == 7
    named = f"127.0.0.1:{nobody_listens} (the proxy of --proxy)"
    assert f"No connection to {named}: Connection refused. Give" in result.stderr


@pytest.mark.parametrize(
    ("status", "step"), [(403, "Set ALL_PROXY to"), (407, "It wants a user and a password")]
)
def test_a_proxy_that_refuses(run, credentials, monkeypatch, status, step):
    answer = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()
    with raw_server(lambda _: answer) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        result = run("call", f"https://{NAME}/")
    assert result.code == 97
    named = f"127.0.0.1:{proxy.port} (the proxy of ALL_PROXY) does not let it through"
    assert f"{named}: it answered {status}. {step}" in result.stderr


def test_a_failure_behind_a_proxy_is_not_the_proxys(run, credentials):
    with raw_server(faults=["after the request"]) as proxy:
        result = run("call", f"http://{NAME}/", "-x", proxy.url)
    assert result.code in (52, 56)
    assert NAME in result.stderr
    assert "proxy" not in result.stderr


def test_an_option_comes_before_the_environments_names(run, credentials, server, monkeypatch):
    monkeypatch.setenv("LATTICE_CLIENT_NAMES", f"{NAME}=us-west-2@127.0.0.1:1")
    url = f"http://{NAME}/"
    assert run("call", url).code == 7
    assert run("call", url, "--connect-to", f"127.0.0.1:{server.port}").code == 0
    elsewhere = f"shop.example.com::127.0.0.1:{server.port}"
    assert run("call", url, "--connect-to", elsewhere).code == 7


@pytest.mark.parametrize("command", ["call", "sign", "doctor"])
def test_nothing_is_signed_for_a_host_that_the_map_says_is_not_lattices(
    run, credentials, server, monkeypatch, command
):
    entry = {"is_lattice": False, "connect_to": f"127.0.0.1:{server.port}"}
    monkeypatch.setenv("LATTICE_CLIENT_NAMES", json.dumps({NAME: entry}))
    result = run(command, f"http://{NAME}/")
    assert result.code == 2
    assert f"LATTICE_CLIENT_NAMES says that {NAME} is not VPC Lattice's" in result.stderr
    assert "--unsigned" in result.stderr
    assert not server.requests
    if command == "call":
        assert run(command, f"http://{NAME}/", "--unsigned").code == 0
        assert not server.requests[0].signed


def test_a_failure_is_told_once(run, url, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    result = run("call", url, "--profile", "no-such-profile", "--region", "us-west-2")
    assert result.code == 67
    assert result.stderr.count("ProfileNotFound") == 1


# The answer


def test_the_head(run, credentials, url):
    result = run("call", "-I", url)
    assert result.text.startswith("HTTP/1.1 200 OK\r\n")
    assert result.text.endswith("\r\n\r\n")


def test_the_head_with_the_body(run, credentials, server):
    result = run("call", "-i", server.url)
    assert result.text == "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_a_file(run, credentials, server, tmp_path):
    result = run("call", server.url, "-o", tmp_path / "answer")
    assert (tmp_path / "answer").read_bytes() == b"ok"
    assert (result.code, result.stdout, result.stderr) == (0, b"", "")


def test_the_heads_in_a_file(run, credentials, server, tmp_path):
    with raw_server(lambda _: redirect_to(server.url)) as first:
        result = run("call", "-L", "-D", tmp_path / "heads", first.url)
    assert result.stdout == b"ok"
    heads = (tmp_path / "heads").read_bytes().split(b"\r\n\r\n")
    assert [head.partition(b"\r\n")[0][:12] for head in heads] == [
        b"HTTP/1.1 302",
        b"HTTP/1.1 200",
        b"",
    ]


def test_the_head_on_stdout(run, credentials, server):
    result = run("call", "-D", "-", server.url)
    assert result.text == "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_write_out(run, credentials, server, tmp_path):
    template = tmp_path / "template"
    template.write_text(r"%{http_code} %{size_download} 100%% %header{content-length}\n")
    url = f"{server.url}/orders"
    assert run("call", url, "-w", f"@{template}").text == "ok200 2 100% 2\n"
    template = (
        "%{method} %{scheme} %{http_version} %{response_code} %{remote_ip} %{num_redirects} "
        "%{url_effective} %{content_type}|%{redirect_url}|%{errormsg}|%{exitcode}"
    )
    result = run("call", url, "--query", "-o", tmp_path / "answer", "-w", template)
    assert result.text == f"GET http 1.1 200 127.0.0.1 0 {url} |||0"


def test_write_out_of_times(run, credentials, lattice_https):
    names = ["time_connect", "time_appconnect", "time_pretransfer", "time_starttransfer"]
    names += ["time_total", "time_redirect"]
    template = " ".join(f"%{{{name}}}" for name in names)
    arguments = "--cacert", lattice_https.ca_file, "-I", "-w", f"\\t{template}"
    result = run("call", lattice_https.url_for("orders"), *arguments)
    times = [float(time) for time in result.text.rpartition("\t")[2].split(" ")]
    assert times[-1] == 0 < times[0]
    assert times[:-1] == sorted(set(times[:-1]))


def test_write_out_of_the_time_of_redirects(run, credentials, server):
    template = "%{time_starttransfer} %{time_redirect} %{remote_port}"
    with raw_server(lambda _: redirect_to(server.url)) as first:
        said = run("call", first.url, "-w", template).text.split()
        assert said[1:] == ["0.000000", str(first.port)]
        said = run("call", "-L", first.url, "-w", f" {template}").text.split()
    assert float(said[1]) > float(said[2]) > 0
    assert said[3] == str(server.port)


def test_an_unsupported_variable_stays_empty_and_is_named(run, credentials, server):
    """As in curl's best-known template, which users keep in a file."""
    template = "%{http_code}|%{time_namelookup}|%{http_kode}|%{time_namelookup}|%{url.host}|"
    result = run("call", "-s", server.url, "-w", template)
    assert (result.code, result.text) == (0, "ok200|||||")
    assert result.stderr.splitlines()[::2] == [
        "lattice-client: -w: curl's %{time_namelookup} is not supported.",
        "lattice-client: -w: curl's %{url.host} is not supported.",
    ]
    assert "there is no variable 'http_kode'; there are: content_type, " in result.stderr


def test_the_speed_of_a_download(run, credentials, server):
    said = run("call", server.url, "-w", "|%{size_download} %{speed_download} %{time_total}").text
    size, speed, total = map(float, said.partition("|")[2].split())
    assert speed == pytest.approx(size / total, rel=0.01, abs=1)


def test_write_out_of_a_redirect_that_is_not_followed(run, credentials, server):
    with raw_server(lambda _: redirect_to(server.url)) as first:
        assert run("call", first.url, "-w", "%{redirect_url}").text == server.url
        result = run("call", "-L", first.url, "-w", " %{num_redirects} %{redirect_url}")
    assert result.text == "ok 1 "


def test_write_out_of_a_failed_call(run, credentials, nobody_listens):
    url = f"http://127.0.0.1:{nobody_listens}"
    template = "%{http_code} %{exitcode} %{size_download} %{errormsg}"
    result = run("call", "-s", url, "-w", template)
    assert (result.code, result.stderr) == (7, "")
    assert result.text == "000 7  No connection to 127.0.0.1: Connection refused."
    template = "%{url_effective} %{method} %{scheme} %{num_redirects}"
    said = f"{url}/a POST http 0"
    assert run("call", f"{url}/a", "-d", "b", "-w", template).text == said
    assert run("call", f"{url}/a", "-d", "b", "--query", "-w", template).text == said
    with raw_server(lambda _: redirect_to(f"{url}/a")) as first:
        result = run("call", "-L", first.url, "-w", f"%{{http_code}} {template}")
    assert result.text == f"000 {url}/a GET http 1"


def test_write_out_without_credentials(run, server):
    template = "%{http_code} %{url_effective} %{method} %{num_redirects}"
    result = run("call", f"{server.url}/a", "--region", "us-west-2", "-w", template)
    assert (result.code, result.text) == (67, f"000 {server.url}/a GET 0")


@pytest.mark.parametrize("status", [403, 500])
def test_write_out_of_a_refusal(run, credentials, status):
    answer = f"HTTP/1.1 {status} Oh\r\nContent-Length: 2\r\n\r\nno".encode()
    template = "%{http_code} %{exitcode} %{errormsg}"
    with raw_server(lambda _: answer) as server:
        for options in (["-f"], ["-s", "-f"]):
            result = run("call", *options, server.url, "-w", template)
            assert (result.code, result.text) == (22, f"{status} 22 {status} from 127.0.0.1.")
            assert result.stderr.count("lattice-client: ") == ("-s" not in options)


@pytest.mark.parametrize("limit", [0, 2])
def test_write_out_of_too_many_redirects(run, credentials, tmp_path, limit):
    template = "%{http_code} %{num_redirects} %{url_effective}"
    heads = tmp_path / "heads"
    with raw_server(lambda _: redirect_to("/b")) as server:
        options = "-L", "--max-redirs", limit, "-D", heads, "-w", template
        result = run("call", f"{server.url}/b", *options)
        assert result.code == 47
        assert result.text == f"302 {limit} {server.url}/b"
    assert heads.read_bytes().count(b"HTTP/1.1 302") == limit + 1


@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def without_room(request, credentials):
    """Makes calls whose stdout cannot be written; gives exit code and stderr."""
    if not Path("/dev/full").exists():
        pytest.skip("no device that is always full")

    def call(*arguments):
        with Path("/dev/full").open("wb") as full:
            ended = subprocess.run(
                [sys.executable, "-m", "lattice_client.cli", "call", *arguments],
                env={**os.environ, "PYTHONUNBUFFERED": request.param},
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        return ended.returncode, ended.stderr

    return call


@pytest.mark.parametrize(
    ("options", "unwritten"),
    [
        ("", "stdout"),
        ("-o /dev/null -w x", "stdout"),
        ("-o /dev/full", "/dev/full"),
        ("-o /dev/null -D /dev/full", "/dev/full"),
        ("-s", None),
        ("-s -o /dev/full", None),
    ],
)
def test_a_disk_that_is_full(without_room, server, options, unwritten):
    told = f"lattice-client: {unwritten} cannot be written: No space left on device.\n"
    assert without_room(server.url, *options.split()) == (23, told if unwritten else "")


def test_the_first_failure_decides(without_room, nobody_listens):
    assert without_room("-s", "-w", "x", f"http://127.0.0.1:{nobody_listens}/") == (7, "")


def test_what_is_binary_stays_as_it_is(run, credentials):
    body = bytes(range(256)) * 300
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with raw_server(lambda _: answer) as server:
        assert run("call", server.url).stdout == body


def test_a_received_piece_is_written_at_once(run, credentials, monkeypatch):
    """As from a service that streams events."""
    written = threading.Event()

    class Buffer(io.BytesIO):
        def write(self, piece):
            if b"one" in piece:
                written.set()
            return super().write(piece)

    buffer = Buffer()

    def serve_slowly(listener):
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\none\n")
            connection.sendall(b"two\n" if written.wait(20) else b"it was held back\n")

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, write_through=True))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve_slowly, args=(listener,))
        thread.start()
        assert run("call", f"http://127.0.0.1:{listener.getsockname()[1]}").code == 0
        thread.join(30)
    assert buffer.getvalue() == b"one\ntwo\n"


def test_compression_is_undone_where_it_was_asked_for(run, credentials):
    import gzip

    packed = gzip.compress(b"orders")
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    with raw_server(lambda _: head % len(packed) + packed) as server:
        assert run("call", server.url).stdout == packed
        assert server.requests[-1].header("accept-encoding") is None
        assert run("call", "--compressed", server.url).stdout == b"orders"
        assert "gzip" in str(server.requests[-1].header("accept-encoding"))


def test_redirects_are_followed_where_asked_for(run, credentials, server):
    with raw_server(lambda _: redirect_to(f"{server.url}/there")) as first:
        assert run("call", first.url).stdout == b""
        assert run("call", "-L", first.url).stdout == b"ok"
        assert first.requests[0].signed
    # Another origin gets no credentials.
    assert not server.requests[0].signed


@pytest.mark.parametrize("options", [[], ["-b", "mine=1"], ["--unsigned"]])
def test_cookies_are_sent_with_the_first_request_only(run, credentials, server, options):
    redirect = redirect_to(f"{server.url}/b").replace(b"\r\n\r\n", b"\r\nSet-Cookie: own=2\r\n\r\n")
    with raw_server(lambda _: redirect) as first:
        assert run("call", "-L", first.url, *options).code == 0
        assert first.requests[0].header("cookie") == ("mine=1" if "-b" in options else None)
    assert server.requests[0].header("cookie") is None


def test_a_remedy_is_told(run, monkeypatch, lattice):
    held = lattice.caller("orders-frontend").credentials
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", held.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", held.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", held.token)
    lattice.lattice.clock = lambda: time.time() + 1000
    arguments = lattice.url_for("orders"), "--region", "us-west-2"
    result = run("call", *arguments)
    assert result.code == 0
    assert re.search(r"this machine's clock is -\d+ s off", result.stderr)
    assert run("call", "-s", *arguments).stderr == ""


@pytest.mark.parametrize(("option", "body"), [("--fail", False), ("--fail-with-body", True)])
def test_fail(run, credentials, option, body):
    answer = b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops"
    with raw_server(lambda _: answer) as server:
        assert run("call", server.url).code == 0
        result = run("call", option, server.url)
    assert result.code == 22
    assert result.stdout == (b"oops" if body else b"")
    assert result.stderr == "lattice-client: 500 from 127.0.0.1.\n"


def test_a_refusal_is_explained(run, lattice, monkeypatch):
    held = lattice.caller("orders-frontend").credentials
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", held.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", held.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", held.token)
    lattice.service("orders").policy = {
        "Statement": {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "vpc-lattice-svcs:Invoke",
            "Resource": "*",
        }
    }
    arguments = "call", lattice.url_for("orders"), "--region", "us-west-2"
    result = run(*arguments)
    assert result.code == 0
    assert result.stdout.startswith(b"AccessDeniedException: User: arn:aws:sts::111122223333")
    assert result.stderr.count("lattice-client: ") == 1
    assert "(service policy, request " in result.stderr
    assert "A Deny in the service's auth policy meets" in result.stderr
    assert run(*arguments, "-f").code == 22
    assert run(*arguments, "-s").stderr == ""
    assert run(*arguments, "-sS").stderr != ""


# Verbose output, without secrets


def test_verbose(run, credentials, lattice_http, url):
    result = run("call", "-v", f"{url}/orders?token=abcdefgh", "-H", "Cookie: id=12345678")
    assert result.code == 0
    said = result.stderr
    assert f"* connected to 127.0.0.1 port {lattice_http.port}" in said
    assert "> GET /orders?token=*** HTTP/1.1" in said
    assert "> Cookie: ***" in said
    assert "> x-amz-security-token: ***" in said
    assert "Credential=ASIACANARYEXAMPLE/" in said
    assert "Signature=***" in said
    assert "* signed for vpc-lattice-svcs in us-west-2" in said
    assert "< HTTP/1.1 200 OK" in said
    for secret in ("abcdefgh", "12345678", credentials.secret_key, str(credentials.token)):
        assert secret not in said


def test_verbose_of_a_server_that_repeats_what_it_got(run, credentials):
    def repeat(request):
        told = b"".join(b"X-Got: %s: %s\r\n" % pair for pair in request.headers)
        return b"HTTP/1.1 200 OK\r\n%sX-Bell: \x1b[2J\r\nContent-Length: 0\r\n\r\n" % told

    with raw_server(repeat) as server:
        result = run("call", "-v", server.url, "-H", "X-Api-Key: 1234567890")
        in_query = run("call", "-v", "--query", server.url)
    for said in (result.stderr, in_query.stderr):
        assert "X-Got: " in said
        assert "\x1b" not in said
        assert not canary.leaks(said)
    assert "1234567890" not in result.stderr
    assert "X-Amz-Signature=***" in in_query.stderr
    assert "X-Amz-Security-Token=***" in in_query.stderr


def test_write_out_has_no_secrets(run, credentials, server):
    """A server that keeps the query in its redirect, and repeats the request."""

    def elsewhere(request):
        query = request.target.partition(b"?")[2]
        told = b"X-Got: %s\r\n" % b" ".join(value for _, value in request.headers)
        told += b"".join(b"Authorization: %s\r\n" % value for _, value in request.headers[-1:])
        to = server.url.encode() + b"/there?" + query
        return redirect_to(to.decode()).replace(b"\r\n\r\n", b"\r\n%s\r\n" % told)

    template = "%{redirect_url} %{url_effective} %header{location} %header{x-got} %{http_code}"
    with raw_server(elsewhere) as first:
        for options in (["--query"], ["--query", "-L"], [], ["-L"]):
            said = run("call", first.url, *options, "-w", template).text
            assert said.endswith((" 302", " 200"))
            assert not canary.leaks(said)
            assert ("X-Amz-Signature=***" in said) == ("--query" in options)
        said = run("call", first.url, "-w", "%header{authorization}|%header{x-none}").text
    assert "***" in said
    assert said.endswith("|")
    assert not canary.leaks(said)


def test_a_signature_within_a_parameter_is_a_secret_too(run, credentials):
    """As in a redirect to a login page, which has to lead back."""

    def to_the_log_in(request):
        return redirect_to(f"/log-in?next={quote(request.target.decode(), safe='')}")

    with raw_server(to_the_log_in) as server:
        template = "%{redirect_url} %header{location}"
        result = run("call", "-v", "--query", server.url, "-w", template)
        sent = dict(parse_qsl(urlsplit(server.requests[-1].target.decode()).query))
    for said in (result.text, result.stderr):
        assert "/log-in?next=" in said
        assert sent["X-Amz-Signature"] not in said
        assert "IQoJb3JpZ2luX2VjE" not in said


def test_verbose_of_retries(run, credentials):
    answers = iter([b"HTTP/1.1 503 Soon\r\nContent-Length: 0\r\n\r\n"])
    with raw_server(lambda _: next(answers, OK)) as server:
        result = run("call", "-v", "--retry", "2", server.url)
    assert result.stdout == b"ok"
    assert "* answered (503): again in" in result.stderr


def test_no_retries_unless_asked_for(run, credentials):
    with raw_server(lambda _: b"HTTP/1.1 503 Soon\r\nContent-Length: 0\r\n\r\n") as server:
        assert run("call", server.url).code == 0
        assert len(server.requests) == 1


# Failures


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["https://orders.nowhere.invalid"], 6, "orders.nowhere.invalid could not be resolved"),
        (["http://127.0.0.1:REFUSED"], 7, "Connection refused"),
        (["https://127.0.0.1:LATTICE"], 35, "No TLS with 127.0.0.1"),
        (["ftp://orders.example.com"], 3, "https://HOST/PATH"),
        (["https://"], 3, "URL"),
        (["https://me:secret-of-mine"], 3, "That is not a URL"),
        (["https://me:password@orders.example.com"], 3, "Authorization"),
        (["http://127.0.0.1:PLAIN", "-d", "@/no/such/file"], 26, "/no/such/file cannot be read"),
        (["http://127.0.0.1:PLAIN", "--cacert", "/no/such/file"], 26, "/no/such/file"),
        (["http://127.0.0.1:PLAIN", "-o", "/no/such/file"], 23, "/no/such/file cannot be written"),
        (["http://127.0.0.1:PLAIN", "-H", "x-amz-a: é\r\nb: c"], 2, "x-amz-a has a line break"),
        (["http://127.0.0.1:PLAIN", "-H", "secret-of-mine"], 2, "Name: value"),
        (["http://127.0.0.1:PLAIN", "-H", "Authorization: Bearer x"], 2, "--query"),
        (["http://127.0.0.1:PLAIN", "-u", "a:b"], 2, "--aws-sigv4"),
        (["http://127.0.0.1:PLAIN", "--aws-sigv4", "aws:amz:a:b:c"], 2, "aws:amz:REGION:SERVICE"),
        (["http://127.0.0.1:PLAIN", "--aws-sigv4", "aws:amz", "-u", ":"], 2, "ACCESS_KEY"),
        (["http://127.0.0.1:PLAIN", "-d", "a", "--json", "{}"], 2, "a body once"),
        (["http://127.0.0.1:PLAIN", "--resolve", "orders"], 2, "NAME=TARGET"),
        (["http://127.0.0.1:PLAIN", "--profile", "no-such-profile"], 67, "no-such-profile"),
        (["http://127.0.0.1:PLAIN", "--assume-role", "orders"], 2, "is no role's ARN"),
        ([], 2, "Missing argument 'URL'"),
        (["http://127.0.0.1:PLAIN", "--frobnicate"], 2, "No such option"),
        (["http://127.0.0.1:PLAIN", "--url", "http://127.0.0.1:PLAIN"], 2, "Give one URL"),
        (["http://127.0.0.1:PLAIN", "-w", "@/no/such/file"], 26, "/no/such/file cannot be read"),
        (["http://127.0.0.1:PLAIN", "-D", "/no/such/file"], 23, "/no/such/file cannot be written"),
        (["http://127.0.0.1:PLAIN", "-b", "secret-of-mine"], 2, "NAME=VALUE; files of cookies are"),
        (
            ["http://127.0.0.1:PLAIN", "-b", "a=1\nsecret-of-mine"],
            2,
            "'--cookie': the value of Cookie",
        ),
        (["http://127.0.0.1:PLAIN", "-e", ";auto"], 2, "';auto' is not supported"),
        (["http://127.0.0.1:PLAIN", "-F", "file=@a"], 2, "Curl's -F is not supported: multipart"),
        (["http://127.0.0.1:PLAIN", "-Ffile=@a"], 2, "Curl's -F is not supported: multipart"),
        (
            ["http://127.0.0.1:PLAIN", "--cert", "a.pem"],
            2,
            "--cert is not supported: HTTPS",
        ),
    ],
)
def test_exit_codes(run, credentials, server, lattice_http, nobody_listens, arguments, code, says):
    places = {
        "REFUSED": str(nobody_listens),
        "PLAIN": str(server.port),
        "LATTICE": str(lattice_http.port),
    }
    for name, port in places.items():
        arguments = [argument.replace(name, port) for argument in arguments]
    result = run("call", *arguments)
    assert result.code == code, result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert "secret-of-mine" not in result.stderr
    assert "password" not in result.stderr.replace("user and password", "")
    assert result.stdout == b""
    assert not server.requests or code == 23


def test_no_credentials(run, server):
    result = run("call", server.url, "--region", "us-west-2")
    assert result.code == 67
    assert result.stderr.startswith("lattice-client: no credentials from")
    assert server.requests == []


def test_a_certificate_that_is_not_accepted(run, credentials, lattice_https):
    result = run("call", lattice_https.url_for("orders"))
    assert result.code == 60
    assert f"The certificate of {NAME} is not accepted" in result.stderr
    elsewhere = "https://parking.example.com", "--connect-to", f"127.0.0.1:{lattice_https.port}"
    result = run("call", *elsewhere, "--cacert", lattice_https.ca_file)
    assert result.code == 60
    assert "parking.example.com" in result.stderr


@pytest.mark.parametrize(
    ("fault", "codes"),
    [("after the request", {52, 56}), ("in the answer", {52, 56}), ("at once", {7, 52, 55, 56})],
)
def test_a_connection_that_breaks(run, credentials, fault, codes):
    with raw_server(faults=[fault]) as server:
        assert run("call", server.url).code in codes


def test_a_connection_that_is_closed_before_it_is_examined():
    class Stream:
        def get_extra_info(self, name):
            if name == "server_addr":
                raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    redaction = Redaction()
    talk = VerboseLog(redaction, verbose=True)
    out = WriteOut("%{remote_ip}%{http_code}", redaction)
    for observer in (talk, out):
        observer.connected(Stream())
    assert out.text(None) == "000"


def test_time_is_up(run, credentials):
    with raw_server(faults=["silence"]) as server:
        result = run("call", "--max-time", "0.2", server.url)
    assert result.code == 28
    assert "in time" in result.stderr


def test_errors_are_quiet_where_asked_for(run, credentials, nobody_listens):
    arguments = "call", f"http://127.0.0.1:{nobody_listens}"
    assert run(*arguments, "-s")[:] == (7, b"", "")
    assert run(*arguments, "-sS").stderr != ""


def test_a_body_that_cannot_be_hashed(run, credentials, server, monkeypatch):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise io.UnsupportedOperation

        tell = seek

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Pipe(b"from stdin"))))
    result = run("call", server.url, "--service", "execute-api", "-T", "-")
    assert result.code == 2
    assert "bod" in result.stderr


def test_unexpected_errors_are_not_hidden(run, credentials, server, monkeypatch):
    from lattice_client.cli import call_command

    monkeypatch.setattr(call_command, "explain_response", lambda *_: {}["oops"])
    with pytest.raises(KeyError):
        run("call", server.url)


def test_a_large_upload_is_streamed(run, credentials, tmp_path):
    from support.sink import sink

    file = tmp_path / "large"
    with file.open("wb") as out:
        out.truncate(8 << 20)
    with sink() as server:
        assert run("call", "-T", file, server.url).stdout == b"ok"
    assert server.taken == [8 << 20]


def test_a_large_download(run, credentials, tmp_path):
    from support.sink import sink

    with sink() as server:
        assert run("call", f"{server.url}/{8 << 20}", "-o", tmp_path / "large").code == 0
    assert (tmp_path / "large").stat().st_size == 8 << 20


def test_the_body_is_valid_json(run, credentials, url):
    assert json.loads(run("call", url).stdout)["method"] == "GET"


def test_a_path_in_the_other_encoding_is_found_out(run, credentials):
    local = LocalLattice(path_encoding="single")
    local.add_service("orders", domain=NAME)
    local.add_caller("orders-frontend", credentials=canary.credentials())
    with serve(local) as running:
        url = f"http://127.0.0.1:{running.port}/a:b"
        result = run("call", url)
        assert result.code == 0
        assert "path_encoding" in result.stderr
        assert run("call", url, "--path-encoding", "single").stderr == ""
