"""HTTP/1.1 as the local Lattice reads and writes it, beside h11."""

import random

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lattice_client.testing.server.http1 import (
    MalformedRequestError,
    RequestHead,
    RequestReader,
    ResponseWriter,
)

CHUNKED = (
    b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\n"
)
SEEDS = [
    b'GET /a?b=c HTTP/1.1\r\nHost: a\r\nX-Odd:  a  "b" \t\r\nX-Empty:\r\n\r\n',
    b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345",
    b"PUT / HTTP/1.0\r\nHost: a\r\ncontent-length: 3\r\n\r\nabc",
    CHUNKED,
    b"\r\nDELETE /\x7e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Fold: 1\r\n\t 2\r\nConnection: Close, x\r\n\r\n",
]
PIECES = [
    *(b"\r\n", b"\n", b"\r", b"\0", b":", b" ", b"\t", b"\r\n ", b"\x0b", b"\xff", b"\x7f", b"0"),
    *(b"5", b"chunked", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b",", b";"),
    *(b"HTTP/1.1", b"-", b"+", b"#", b"?", b"%", b"x: y\r\n", b"\r\n\r\n", b"GET "),
]


def ours(data, pieces=None):
    """The complete requests in ``data``, and whether the rest was refused."""
    reader, whole, head, body = RequestReader(), [], None, b""
    try:
        for piece in pieces or [data]:
            reader.feed(piece)
            while True:
                if head is None:
                    head, body = reader.next_head(), b""
                if head is None:
                    break
                body += reader.next_body()
                if not reader.complete:
                    break
                whole.append(as_tuple(head, body))
                head = None
    except MalformedRequestError:
        return whole, True
    return whole, False


@pytest.mark.parametrize(("digits", "is_taken"), [(18, True), (19, False)])
def test_a_length_has_at_most_18_digits(digits, is_taken):
    reader = RequestReader()
    reader.feed(b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: %b\r\n\r\nabc" % (b"9" * digits))
    if not is_taken:
        with pytest.raises(MalformedRequestError, match="Content-Length is not a number of bytes"):
            reader.next_head()
        return
    assert reader.next_head() is not None
    assert reader.next_body() == b"abc"
    assert not reader.complete


def as_tuple(head, body):
    return head.method.encode(), head.target, head.version.encode(), head.headers, body


def theirs(data):
    """The requests in ``data`` by h11, up to the first that it refuses."""
    connection, found, whole = h11.Connection(h11.SERVER, 10**6), [], []
    connection.receive_data(data)
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                headers = [(bytes(name), bytes(value)) for name, value in event.headers]
                found = [event.method, event.target, event.http_version, headers, b""]
            elif isinstance(event, h11.Data):
                found[-1] += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                whole.append(tuple(found))
                if connection.their_state is h11.MUST_CLOSE:
                    return whole, True
                connection.send(h11.Response(status_code=204, headers=[]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return whole, True
                connection.start_next_cycle()
            else:
                return whole, False
    except h11.RemoteProtocolError:
        return whole, True


def mutated(pick):
    data = bytearray(b"".join(pick.choices(SEEDS, k=pick.randint(1, 2))))
    for _ in range(pick.randint(0, 3)):
        place = pick.randrange(len(data))
        data[place : place + pick.randint(0, 3)] = pick.choice(PIECES)
    return bytes(data)


def collapsed(requests):
    """White space within values may differ: RFC 9112, section 5.2, leaves folds to the reader."""
    return [
        (*line, [(name, b" ".join(value.split())) for name, value in headers], body)
        for *line, headers, body in requests
    ]


def test_what_it_takes_for_a_request_is_the_same_to_h11():
    """A request that only one of two readers sees is smuggled."""
    pick, count = random.Random(2), 0
    for _ in range(10_000):
        data = mutated(pick)
        requests, known = collapsed(ours(data)[0]), collapsed(theirs(data)[0])
        # h11 accepts line feeds as line ends, and folds in trailers. It stops where a connection
        # is to be closed.
        assert requests[: len(known)] == known[: len(requests)], data
        count += len(requests)
    assert count > 5_000


tokens = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1).map(str.encode)
values = st.lists(st.integers(33, 255).filter(lambda byte: byte != 127), min_size=1).map(bytes)
spaces = st.text(" \t", max_size=2).map(str.encode)
targets = st.text([chr(byte) for byte in range(33, 127)], min_size=1).map(str.encode)
framing = (b"content-length", b"transfer-encoding", b"connection", b"expect", b"host")
fields = st.lists(
    st.tuples(tokens.filter(lambda name: name.lower() not in framing), spaces, values, spaces)
)


@given(
    method=tokens,
    target=targets,
    fields=fields,
    chunks=st.one_of(st.binary(), st.lists(st.binary(min_size=1))),
    draw=st.data(),
)
def test_a_request_arrives_as_it_was_sent_however_it_is_cut(method, target, fields, chunks, draw):
    lines = [method + b" " + target + b" HTTP/1.1", b"host: a"]
    lines += [name + b":" + before + value + after for name, before, value, after in fields]
    if isinstance(chunks, bytes):
        lines.append(b"content-length: %d" % len(chunks))
        body = chunks
    else:
        lines.append(b"transfer-encoding: chunked")
        body = b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    data = b"\r\n".join([*lines, b"", b""]) + body
    known = theirs(data + data)[0]
    data = draw.draw(st.sampled_from([b"", b"\r\n"])) + data
    cuts = sorted(draw.draw(st.sets(st.integers(1, len(data) - 1), max_size=5)))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    requests, refused = ours(data + data, [*pieces, data])
    assert not refused
    assert requests == known
    assert [request[:2] for request in requests] == [(method, target)] * 2
    assert requests[0][3][1:-1] == [(name.lower(), value) for name, _, value, _ in fields]
    assert requests[0][4] == (chunks if isinstance(chunks, bytes) else b"".join(chunks))


@pytest.mark.parametrize(
    ("lines", "keep_alive", "waits"),
    [
        (b"HTTP/1.1", True, False),
        (b"HTTP/1.0", False, False),
        (b"HTTP/1.0\r\nConnection: keep-alive", False, False),
        (b"HTTP/1.1\r\nConnection: x , CLOSE", False, False),
        (b"HTTP/1.1\r\nConnection: x\r\nConnection: close", False, False),
        (b"HTTP/1.1\r\nExpect: 100-Continue", True, True),
        (b"HTTP/1.0\r\nExpect: 100-continue", False, False),
    ],
)
def test_what_a_head_says_about_the_connection(lines, keep_alive, waits):
    reader = RequestReader()
    reader.feed(b"GET / " + lines + b"\r\n\r\n")
    head = reader.next_head()
    assert (head.keep_alive, head.expects_continue) == (keep_alive, waits)


@pytest.mark.parametrize(
    ("start", "piece", "limit"),
    [
        (b"0\r\n", b"x: 1\r\n" * 1000, 600_000),
        (b"0\r\nx: ", b"1" * 1000, 300_000),
        (b"1;", b"x" * 1000, 20_000),
        (b"", b"0" * 1000, 20_000),
    ],
    ids=["trailers", "a trailer", "an extension", "a size"],
)
def test_what_has_no_end_between_chunks_is_refused(start, piece, limit):
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert ours(b"", [head + start, *[piece] * (limit // len(piece))]) == ([], True)


@pytest.mark.parametrize(
    "pieces",
    [
        *([b"\x16"], [b"\0"], [b" "], [b"\n"], [b"\r\n", b"\x16"]),
        *([b"GET / HTTP/1.1\n"], [b"GET / HTTP/1.1\r\nHost: a\n"], [b"GET / HTTP/1.1", b"\n"]),
    ],
)
def test_a_head_that_will_be_none_is_not_waited_for(pieces):
    assert ours(b"", pieces) == ([], True)


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_line_end_in_two_pieces_is_one(cut):
    """Also before the request line, where empty lines are ignored: RFC 9112, section 2.2."""
    data = b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    for pieces in ([data[:cut], data[cut:]], [data[:-cut], data[-cut:]]):
        assert ours(data, pieces) == ([(b"GET", b"/", b"1.1", [], b"")], False)


# Responses

GET = RequestHead("GET", b"/", "1.1", [], keep_alive=True, expects_continue=False)


def written(request, status, headers, *parts):
    writer = ResponseWriter(request)
    last = len(parts) - 1
    return writer.start(status, headers) + b"".join(
        writer.body(part, more=number < last) for number, part in enumerate(parts)
    )


def read_by_h11(method, data, *, then_closed=False):
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    if then_closed:
        connection.receive_data(b"")
    response, body = connection.next_event(), b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    return response, body, connection.their_state is h11.DONE


@pytest.mark.parametrize("headers", [[], [(b"Content-Length", b"8")]], ids=["chunked", "length"])
@pytest.mark.parametrize("parts", [(b"abc", b"", b"defgh"), (b"abcdefgh",), (b"abcdefgh", b"")])
def test_a_response_arrives_as_it_was_given(headers, parts):
    data = written(GET, 201, [*headers, (b"X-A", b"1\xff"), (b"x-a", b"")], *parts)
    response, body, kept = read_by_h11("GET", data)
    assert (response.status_code, response.reason, body, kept) == (
        201,
        b"Created",
        b"abcdefgh",
        True,
    )
    assert [h for h in response.headers if h[0] == b"x-a"] == [(b"x-a", b"1\xff"), (b"x-a", b"")]


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("HEAD", 204)]
)
def test_a_response_without_a_body(method, status):
    head = RequestHead(method, b"/", "1.1", [], keep_alive=True, expects_continue=False)
    data = written(head, status, [(b"content-length", b"9")] if status != 204 else [], b"left out")
    assert b"left out" not in data
    response, body, kept = read_by_h11(method, data)
    assert (response.status_code, body, kept) == (status, b"", True)


def test_http_1_0_sees_the_end_by_the_connections():
    head = RequestHead("GET", b"/", "1.0", [], keep_alive=False, expects_continue=False)
    data = written(head, 200, [(b"transfer-encoding", b"chunked")], b"abc", b"def")
    assert b"transfer-encoding" not in data
    response, body, _ = read_by_h11("GET", data, then_closed=True)
    assert (body, dict(response.headers)[b"connection"]) == (b"abcdef", b"close")


@pytest.mark.parametrize("headers", [[(b"Connection", b"x, Close")], []])
def test_the_last_response_says_so(headers):
    writer = ResponseWriter(GET)
    writer.keep_alive = bool(headers)
    data = writer.start(200, [*headers, (b"content-length", b"0")])
    assert data.lower().count(b"close") == 1
    assert not read_by_h11("GET", data)[2]


@pytest.mark.parametrize(
    "header",
    [(b"x-a", b"1\r\nx-b: 2"), (b"x-a", b"1\n"), (b"x-a", b"\0"), (b"x a", b"1"), (b"", b"1")],
)
def test_a_header_that_would_be_more_is_not_written(header):
    with pytest.raises(ValueError, match="a response header must be"):
        ResponseWriter(GET).start(200, [header])


@pytest.mark.parametrize(
    "header", [(b"content-length: 9\t", b""), (b"transfer-encoding:", b"chunked"), (b":x", b"1")]
)
def test_a_name_that_would_be_another_header_is_not_written(header):
    with pytest.raises(ValueError, match="is not a header name"):
        ResponseWriter(GET).start(200, [header])


@pytest.mark.parametrize("lengths", [[b"+2"], [b"0_2"], [b" 2"], [b"-2"], [b""], [b"2", b"2"]])
def test_a_length_that_is_none_is_not_written(lengths):
    with pytest.raises(ValueError, match="one number of bytes"):
        ResponseWriter(GET).start(200, [(b"Content-Length", length) for length in lengths])


@pytest.mark.parametrize(
    ("value", "known"),
    [
        (b"Keep-Alive", []),
        (b"keep-alive, x-Hop", [b"x-hop"]),
        (b"upgrade , close", [b"upgrade", b"close"]),
    ],
)
def test_only_how_it_ends_is_left_out_of_what_is_said_about_the_connection(value, known):
    data = ResponseWriter(GET).start(204, [(b"Connection", value), (b"X-Hop", b"1")])
    response, _, kept = read_by_h11("GET", data)
    assert [value for name, value in response.headers if name == b"connection"] == known
    assert (b"x-hop", b"1") in response.headers
    assert kept is (b"close" not in known)


@pytest.mark.parametrize(
    ("method", "version", "status", "headers", "known"),
    [
        ("GET", "1.0", 200, [], True),
        ("GET", "1.0", 200, [(b"content-length", b"1")], False),
        ("GET", "1.0", 204, [], False),
        ("HEAD", "1.0", 200, [], False),
        ("GET", "1.1", 200, [], False),
    ],
)
def test_whether_a_body_ends_with_the_connection(method, version, status, headers, known):
    writer = ResponseWriter(RequestHead(method, b"/", version, [], known, False))
    writer.start(status, headers)
    assert writer.ends_with_connection is known


@pytest.mark.parametrize("status", [100, 103, 1000])
def test_a_status_that_is_none_is_not_written(status):
    with pytest.raises(ValueError, match="status"):
        ResponseWriter(GET).start(status, [])


@pytest.mark.parametrize("parts", [(b"abc",), (b"abcdef",), (b"abc", b"abc", b"")])
def test_a_body_of_another_length_is_not_written(parts):
    with pytest.raises(ValueError, match="not as long as"):
        written(GET, 200, [(b"content-length", b"5")], *parts)
