"""Bodies under ``SigV4Auth``: hashed as they are sent, or not hashed where a service takes no hash."""

from __future__ import annotations

from datetime import datetime

import pytest

from adapters.drivers import CHUNKS, DRIVERS, STREAM, Driver, sigv4_auth
from lattice_client.signing import EMPTY_PAYLOAD
from support import canary
from support.oracles import Case, crt_request
from support.raw_server import RawRequest, raw_server

REGION = "us-west-2"


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


def parameter(target: str, name: str) -> str:
    return target.partition(f"{name}=")[2].partition("&")[0]


class TestS3InTheQuery:
    """S3 takes the constant UNSIGNED-PAYLOAD there, and no header that says so ("Authenticating
    Requests: Using Query Parameters", S3 API Reference)."""

    @staticmethod
    def expected(sent: RawRequest, service: str) -> str:
        """The signature that AWS's C runtime gives the request as it arrived."""
        target = sent.target.decode()
        case = Case(
            sent.method,
            sent.header("host") or "",
            target.partition("?")[0],
            credentials=canary.credentials(),
            now=_seconds(parameter(target, "X-Amz-Date")),
            region=REGION,
            service=service,
        )
        theirs = crt_request(
            case,
            query=True,
            double=False,
            normalize=False,
            payload_header=False,
            expires=int(parameter(target, "X-Amz-Expires")),
        )
        return parameter(theirs.path, "X-Amz-Signature")

    @pytest.mark.parametrize("service", ["s3", "s3-object-lambda", "s3-outposts"])
    @pytest.mark.parametrize("payload", ["signed", "unsigned"])
    def test_no_body_is_signed(self, driver, service, payload):
        auth = sigv4_auth(driver)(
            service,
            region=REGION,
            credentials=canary.credentials(),
            placement="query",
            payload=payload,
        )
        # What an earlier signature has left is no header of this one.
        stale = {"x-amz-content-sha256": EMPTY_PAYLOAD}
        with raw_server() as server, driver.client(auth) as call:
            for body in (None, b"an object", STREAM):
                assert call("PUT", f"{server.url}/key", body=body, headers=stale).status == 200
                sent = server.requests[-1]
                assert sent.body == (b"".join(CHUNKS) if body is STREAM else body or b"")
                assert not sent.signed
                assert parameter(sent.target.decode(), "X-Amz-Signature") == self.expected(
                    sent, service
                )
            assert len(server.requests) == 3


def _seconds(amz_date: str) -> int:
    return int(datetime.strptime(amz_date + "+0000", "%Y%m%dT%H%M%SZ%z").timestamp())
