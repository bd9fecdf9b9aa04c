"""The access log in a file, and assertions on it."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lattice_client.testing import LocalLattice
from lattice_client.testing.access_log import FIELDS
from support.asgi_driver import Exchange, fetch, signed_by
from support.local_oracles import HOST, NOW, wire


def unsigned(target="/", method="GET", host=HOST):
    return wire(method, target, [("host", host)])


def call(lattice, request):
    return Exchange(lattice, request).run().status


@pytest.fixture
def lattice():
    local = LocalLattice(clock=lambda: NOW)
    local.add_service("orders", domain=HOST)
    local.add_service("books", domain="books.example.com", auth_type="NONE")
    local.add_caller("frontend", session="task-1")
    return local


# The file


def test_each_call_is_a_line_of_json(tmp_path):
    path = tmp_path / "access.log"
    path.write_text("what was there before\n")
    lattice = LocalLattice(clock=lambda: NOW, access_log=path)
    lattice.add_service("orders", domain=HOST, auth_type="NONE")
    assert [call(lattice, unsigned(f"/{n}")) for n in "aé"] == [200, 200]
    before, *lines = path.read_text(encoding="utf-8").splitlines()
    assert before == "what was there before"
    for line, record in zip(lines, lattice.access_log, strict=True):
        written = json.loads(line)
        assert tuple(written) == FIELDS
        assert written == {name: "-" if value is None else value for name, value in record.items()}
        assert written["authDeniedReason"] == "-"
        assert written["duration"] is not None


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        LocalLattice(access_log=tmp_path / "nowhere" / "access.log")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_does_the_request_no_harm(caplog):
    lattice = LocalLattice(access_log="/dev/full")
    lattice.add_service("orders", domain=HOST, auth_type="NONE")
    assert call(lattice, unsigned()) == 200
    assert len(lattice.access_log) == 1
    assert "cannot write the access log /dev/full" in caplog.text


def test_processes_share_a_file_line_by_line(tmp_path):
    script = """
        import sys
        from lattice_client.testing.access_log import AccessLogFile, new_record
        file = AccessLogFile(sys.argv[1])
        for _ in range(300):
            file.write(new_record() | {"userAgent": sys.argv[2] * 3000})
    """
    path = tmp_path / "access.log"
    processes = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), path, letter])
        for letter in "ab"
    ]
    assert [process.wait(60) for process in processes] == [0, 0]
    agents = [json.loads(line)["userAgent"] for line in path.read_text().splitlines()]
    assert sorted(set(agents)) == ["a" * 3000, "b" * 3000]
    assert len(agents) == 600


# Assertions


def test_sentences_that_hold(lattice):
    frontend = lattice.caller("frontend")
    lattice.access.never()
    call(lattice, unsigned("/parking"))
    call(lattice, unsigned("/", "POST", host="books.example.com"))
    fetch(lattice, signed_by(frontend, target="/orders/7"))

    lattice.access.of("orders").by(None).denied_by("Service").answered(403).once()
    lattice.access.of("orders").by("frontend").allowed().answered(200)
    lattice.access.of(lattice.service("books")).allowed().once()
    lattice.access.of("books.example.com").to("/", method="POST").once()
    lattice.access.by(frontend).to("/orders/*").once()
    lattice.access.to("/", method="GET").never()
    lattice.access.of("orders").to("/parking").failed("ClientAccessDenied")
    lattice.access.times(3)
    assert [record["requestMethod"] for record in lattice.access] == ["GET", "POST", "GET"]
    assert lattice.access.of("orders")[0]["responseCode"] == 403
    assert len(lattice.access.of("orders")[:1]) == 1


@pytest.mark.parametrize("path", ["orders/1", "", "http://a/orders/1"])
def test_a_path_that_no_call_can_have_is_refused(lattice, path):
    call(lattice, unsigned("/orders/1"))
    with pytest.raises(ValueError, match=f"a path begins with '/'.*, not {path!r}"):
        lattice.access.to(path).never()


def test_a_path_has_no_query(lattice):
    call(lattice, unsigned("/x?y=1"))
    with pytest.raises(ValueError, match="without its query: '/x', not "):
        lattice.access.to("/x?y=1").never()
    lattice.access.to("/x").once()


@pytest.mark.parametrize("path", ["/v?/orders", "?v1/orders", "*/orders", "/v1/order?", "/?1*"])
def test_a_question_mark_is_a_wildcard(lattice, path):
    call(lattice, unsigned("/v1/orders"))
    lattice.access.to(path).once()


def test_a_sentence_that_does_not_hold_shows_what_was_there(lattice):
    fetch(lattice, signed_by(lattice.caller("frontend"), target="/orders/7?secret=1"))
    call(lattice, unsigned("/parking"))
    with pytest.raises(AssertionError) as caught:
        lattice.access.of("orders").denied_by("Service")
    assert str(caught.value) == (
        "expected that every call of orders was denied by Service; of 2, 1 did not:\n"
        f"  GET {HOST}/orders/7 by "
        "arn:aws:sts::111122223333:assumed-role/frontend/task-1: 200"
    )
    with pytest.raises(AssertionError) as caught:
        lattice.access.of("orders").by(None).allowed()
    assert str(caught.value) == (
        "expected that every call of orders by anonymous callers was allowed; of 1, 1 did not:\n"
        f"  GET {HOST}/parking by Anonymous: 403 (denied by Service, ClientAccessDenied)"
    )


def test_no_call_at_all_is_never_right(lattice):
    with pytest.raises(AssertionError, match="no call of books: nothing got 200; there were: none"):
        lattice.access.of("books").answered(200)
    call(lattice, unsigned("/parking"))
    with pytest.raises(AssertionError, match=r"of books: nothing was allowed; there were:\n  GET "):
        lattice.access.of("books").allowed()
    with pytest.raises(
        AssertionError, match=r"expected 1 call of books, not 0; there were:\n  GET"
    ):
        lattice.access.of("books").once()


def test_the_wrong_number_of_calls(lattice):
    for _ in range(25):
        call(lattice, unsigned("/parking"))
    with pytest.raises(AssertionError, match=r"expected no call of orders, not 25:\n") as caught:
        lattice.access.of("orders").never()
    assert str(caught.value).count("\n") == 21
    assert str(caught.value).endswith("… and 5 more")
    assert repr(lattice.access.of("orders")).startswith("<25 calls of orders:\n  GET ")


def test_unknown_names(lattice):
    access = lattice.access
    for wrong, words in (
        (lambda: access.to("/", method="get"), "methods are in capitals: GET, not 'get'"),
        (lambda: access.answered("403"), "a status is a number, not '403'"),
        (lambda: access.times("2"), "a count is a number, not '2'"),
        (lambda: access.denied_by("service"), "layer is one of Service, Network, Identity, not 's"),
        (
            lambda: access.failed("Timeout"),
            "reason is one of ClientAccessDenied, .*, not 'Timeout'",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            wrong()
    with pytest.raises(KeyError, match="no service 'order'"):
        lattice.access.of("order")
    with pytest.raises(KeyError, match="no caller 'front'"):
        lattice.access.by("front")
