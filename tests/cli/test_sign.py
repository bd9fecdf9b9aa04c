"""``lattice-client sign``: its output is what would be sent."""

from __future__ import annotations

import hashlib
import re
import shlex
from itertools import pairwise
from urllib.parse import urlsplit

import httpx
import pytest

from lattice_client.testing import Verifier, WireRequest
from support import canary

URL = "https://orders.internal.example.com/orders?status=open"


def verified(method, url, headers, **reading):
    parts = urlsplit(url)
    verifier = Verifier(lambda _: canary.credentials(), region="us-west-2", **reading)
    wire = tuple((name.encode(), value.encode()) for name, value in headers.items())
    request = WireRequest(
        method,
        parts.path.encode(),
        parts.query.encode(),
        (*wire, (b"host", parts.netloc.encode())),
    )
    return verifier.verify(request)


@pytest.mark.parametrize("arguments", [[], ["--query"], ["--sigv4a"]])
def test_without_a_format_nothing_is_given_away(run, credentials, arguments):
    result = run("sign", URL, *arguments)
    assert result.code == 0
    assert not canary.leaks(result.text)
    assert str(credentials.token) not in result.text
    assert "region: us-west-2" in result.text
    assert "Signature=***" in result.text
    assert "expires: not known" in result.text  # but they expire, because they have a token
    assert "--headers, --curl" in result.stderr


def test_headers(run, credentials):
    result = run("sign", URL, "--headers")
    headers = dict(line.split(": ", 1) for line in result.text.splitlines())
    assert verified("GET", URL, headers)
    assert credentials.secret_key not in result.text
    assert result.stderr == ""  # a warning is for terminals


@pytest.mark.parametrize("form", ["double", "double-raw", "single"])
def test_the_form_of_the_path(run, credentials, form):
    url = "https://orders.internal.example.com/a:b//c"
    result = run("sign", url, "--headers", "--path-encoding", form)
    headers = dict(line.split(": ", 1) for line in result.text.splitlines())
    assert verified("GET", url, headers, path_encoding=form)


def test_a_curl_command(run, credentials):
    arguments = ["-X", "PUT", "-H", "x-amz-meta-a: b c", "--json-body", '{"a": 1}']
    result = run("sign", URL, "--curl", *arguments)
    curl = shlex.split(result.text)
    assert curl[:3] == ["curl", "--request", "PUT"]
    assert curl[-1] == URL
    headers = dict(value.split(": ", 1) for option, value in pairwise(curl) if option == "--header")
    assert headers["content-type"] == "application/json"
    assert curl[curl.index("--data-raw") + 1] == '{"a": 1}'
    assert "x-amz-meta-a" in verified("PUT", URL, headers).signed_headers


def test_a_link(run, credentials):
    result = run("sign", URL, "--query", "--url", "--expires", "60")
    link = result.text.strip()
    assert "X-Amz-Expires=60" in link
    headers = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    assert verified("GET", link, headers).placement == "query"


@pytest.mark.parametrize("arguments", [[], ["--query"]])
def test_the_stages(run, credentials, arguments):
    told = run("sign", URL, "--json", *arguments).json
    token = str(credentials.token)
    held = verified("GET", told["url"], told["headers"])
    shown = held.canonical_request.replace(token, "***")
    shown = re.sub(r"(X-Amz-Security-Token=)[^&\n]*", r"\1***", shown)
    assert told["canonical_request"] == shown
    assert told["string_to_sign"] == held.string_to_sign
    assert run("sign", URL, "--string-to-sign", *arguments).text.startswith("AWS4-HMAC-SHA256\n")
    canonical = run("sign", URL, "--canonical-request", *arguments).text
    assert canonical.startswith("GET\n/orders\n")
    assert not canary.leaks(canonical)


def test_it_can_be_sent(run, credentials, lattice_http):
    url = lattice_http.url_for("orders")
    headers = dict(line.split(": ", 1) for line in run("sign", url, "--headers").text.splitlines())
    assert httpx.get(url, headers=headers).status_code == 200


def test_another_service_signs_the_body(run, credentials):
    told = run("sign", URL, "--json", "--service", "execute-api", "-d", "a=1").json
    assert told["service"] == "execute-api"
    assert told["method"] == "POST"
    assert told["canonical_request"].endswith(hashlib.sha256(b"a=1").hexdigest())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--url"], "--query"), (["--expires", "60"], "--query"), (["-d", "@/no/file"], "/no/file")],
)
def test_what_does_not_go_together(run, credentials, arguments, says):
    result = run("sign", URL, *arguments)
    assert result.code != 0
    assert says in result.stderr


def test_no_repr_gives_anything_away(run, credentials, monkeypatch):
    from lattice_client.cli import sign_command

    shown = []
    monkeypatch.setattr(sign_command, "_describe", lambda signed: shown.append(repr(signed)))
    run("sign", URL)
    monkeypatch.setattr(sign_command, "_signed", lambda *given: shown.append(repr(given)))
    with pytest.raises(AttributeError):
        run("sign", URL, "--headers", "--aws-sigv4", "aws:amz", "-u", f"AK:{canary.SECRET}")
    assert len(shown) == 2
    assert not canary.leaks(str(shown))
