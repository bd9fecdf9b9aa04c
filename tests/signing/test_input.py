"""What the signers refuse, and their messages: types, times, credentials, payloads, regions."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from types import SimpleNamespace

import botocore.session
import pytest

from lattice_client import (
    ConfigurationError,
    Credentials,
    InvalidCredentialsError,
    InvalidHeaderError,
    RegionError,
    SigningError,
)
from lattice_client.signing import EMPTY_PAYLOAD, SigV4ASigner, SigV4Signer, presign

HOST = "orders.example.com"
NOW = 1_440_938_160
CREDENTIALS = Credentials("AKIDEXAMPLE", "secret", "token")


@pytest.fixture
def signer() -> SigV4Signer:
    return SigV4Signer(CREDENTIALS, "eu-west-1")


def each_call(signer):
    """All methods that take a request."""

    def in_the_query(*arguments, **options):
        return presign(signer, *arguments, **options)

    return (signer.sign, signer.canonical_request, signer.string_to_sign, in_the_query)


class TestTypes:
    @pytest.mark.parametrize("wrong", [b"GET", None, 1])
    @pytest.mark.parametrize("place", [0, 1, 2], ids=["method", "host", "target"])
    @pytest.mark.parametrize(
        "options", [{}, {"path_encoding": "double-raw"}, {"path_encoding": "single"}]
    )
    def test_a_request_is_text(self, place, wrong, options):
        signer = SigV4Signer(CREDENTIALS, "eu-west-1", **options)
        arguments = ["GET", HOST, "/"]
        arguments[place] = wrong
        if place == 2 and wrong == b"GET":
            arguments[place] = b"/"
        what = ("the method", "the host", "the target")[place]
        for call in (signer.sign, signer.canonical_request, signer.string_to_sign):
            for _ in range(2):  # also once the host is known
                with pytest.raises(InvalidHeaderError, match=f"{what} must be a str, not "):
                    call(*arguments)

    @pytest.mark.parametrize("wrong", [b"canary", None, 1])
    def test_so_are_headers(self, signer, wrong):
        for call in each_call(signer):
            with pytest.raises(InvalidHeaderError, match="x-amz-meta must be a str") as caught:
                call("GET", HOST, "/", {"x-amz-meta": wrong})
            assert "canary" not in str(caught.value)
            with pytest.raises(InvalidHeaderError, match="a header's name must be a str"):
                call("GET", HOST, "/", [(wrong, "1")])

    def test_headers_may_be_none(self, signer):
        for call in each_call(signer)[:3]:
            assert call("GET", HOST, "/", None, now=NOW) == call("GET", HOST, "/", now=NOW)
            given = {"payload_hash": EMPTY_PAYLOAD, "now": NOW}
            assert call("GET", HOST, "/", None, **given) == call("GET", HOST, "/", **given)

    def test_the_method_is_checked_for_a_known_host_too(self, signer):
        signer.sign("GET", HOST, "/")
        with pytest.raises(InvalidHeaderError, match="method"):
            signer.sign("GET\r\nX-Evil: 1", HOST, "/")
        assert signer.sign("PURGE", HOST, "/")


@pytest.mark.parametrize(
    ("host", "idna"),
    [
        ("b\xfccher.example", "xn--bcher-kva.example"),
        # A label of more than 63 characters, and one that is empty, have no such form.
        ("\xe9" * 80, "which this one does not have"),
        ("\xe9..example", "which this one does not have"),
        ("\ud800.example", "which this one does not have"),
    ],
)
def test_the_host_is_given_in_the_form_that_is_sent(signer, host, idna):
    for call in each_call(signer):
        with pytest.raises(InvalidHeaderError, match="non-ASCII") as caught:
            call("GET", host, "/")
        assert str(caught.value).endswith(f"(IDNA): {idna}")


class NoOffset(tzinfo):
    def utcoffset(self, _):
        return None


class TestTime:
    @pytest.mark.parametrize("now", ["20150830T123600Z", b"1", [NOW], object()])
    def test_of_another_type(self, signer, now):
        for call in each_call(signer):
            with pytest.raises(SigningError, match=f"now must be .*, not {type(now).__name__}"):
                call("GET", HOST, "/", now=now)

    @pytest.mark.parametrize("year", [-5, 0, 999, 10_000, 123_456])
    def test_in_a_year_without_four_digits(self, signer, year):
        seconds = (year - 1970 + 0.5) * 365.2425 * 86_400
        with pytest.raises(SigningError, match=rf"year {year}\b"):
            signer.sign("GET", HOST, "/", now=seconds)

    def test_the_first_and_the_last(self, signer):
        first, last = datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)
        assert signer.sign("GET", HOST, "/", now=first)["x-amz-date"] == "10000101T000000Z"
        assert signer.sign("GET", HOST, "/", now=last)["x-amz-date"] == "99991231T230000Z"
        for beyond in (first.timestamp() - 1, last.timestamp() + 3600):
            with pytest.raises(SigningError, match="year"):
                signer.sign("GET", HOST, "/", now=beyond)

    def test_a_time_zone_that_does_not_know(self, signer):
        with pytest.raises(SigningError, match="time zone"):
            signer.sign("GET", HOST, "/", now=datetime(2026, 1, 1, tzinfo=NoOffset()))


class TestCredentials:
    """They need not be Credentials, which are checked when they are made."""

    @pytest.mark.parametrize("bad", ["\r", "\n", "\0", " ", "\t", "\x7f", "é", "\u2028", "\ud800"])
    @pytest.mark.parametrize("field", ["access_key", "secret_key", "token"])
    def test_with_what_no_header_can_hold(self, field, bad):
        parts = {"access_key": "AKID", "secret_key": "canary", "token": "canary"}
        parts[field] = f"canary{bad}"
        for make in (SigV4Signer, SigV4ASigner):
            with pytest.raises(InvalidCredentialsError, match=field) as caught:
                make(SimpleNamespace(**parts), "eu-west-1")
            assert "canary" not in str(caught.value)

    @pytest.mark.parametrize("bad", ["", None, b"canary", 7])
    @pytest.mark.parametrize("field", ["access_key", "secret_key"])
    def test_with_a_part_missing_or_no_text(self, field, bad):
        parts = {"access_key": "AKID", "secret_key": "canary", "token": None, field: bad}
        for make in (SigV4Signer, SigV4ASigner):
            with pytest.raises(InvalidCredentialsError, match=field):
                make(SimpleNamespace(**parts), "eu-west-1")

    def test_with_a_token_in_bytes(self):
        given = SimpleNamespace(access_key="AKID", secret_key="s", token=b"canary")
        with pytest.raises(InvalidCredentialsError, match="token"):
            SigV4Signer(given, "eu-west-1")

    def test_of_any_class_that_has_the_parts(self, signer):
        parts = {"access_key": "AKIDEXAMPLE", "secret_key": "secret", "token": "token"}
        other = SigV4Signer(SimpleNamespace(**parts), "eu-west-1")
        assert other.sign("GET", HOST, "/", now=NOW) == signer.sign("GET", HOST, "/", now=NOW)

    def test_that_change_are_read_once(self, signer):
        class Rotating:
            """As botocore's, which may differ at each read."""

            reads = 0

            def __getattr__(self, name):
                self.reads += 1
                first = {"access_key": "AKIDEXAMPLE", "secret_key": "secret", "token": "token"}
                return first[name] if self.reads <= 3 else f"{name}{self.reads}"

        other = SigV4Signer(Rotating(), "eu-west-1")
        for day in range(3):
            now = NOW + day * 86_400
            assert other.sign("GET", HOST, "/", now=now) == signer.sign("GET", HOST, "/", now=now)


class TestPayloadHash:
    @pytest.mark.parametrize(
        "payload",
        [
            EMPTY_PAYLOAD,
            "UNSIGNED-PAYLOAD",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        ],
    )
    def test_what_it_may_be(self, signer, payload):
        signed = signer.sign("PUT", HOST, "/", payload_hash=payload)
        assert signed["x-amz-content-sha256"] == payload

    @pytest.mark.parametrize(
        "payload",
        [
            "",
            EMPTY_PAYLOAD.upper(),
            EMPTY_PAYLOAD[:-1],
            EMPTY_PAYLOAD + "0",
            EMPTY_PAYLOAD[:-1] + "g",
            EMPTY_PAYLOAD[:30] + "z" + EMPTY_PAYLOAD[31:],
            "unsigned-payload",
            "UNSIGNED",
            "UNSIGNED-PAYLOAD-",
            "STREAMING-a",
            "STREAMING- X",
            "STREAMING",
            b"UNSIGNED-PAYLOAD",
            7,
        ],
    )
    def test_what_it_may_not(self, signer, payload):
        for call in each_call(signer):
            with pytest.raises(SigningError, match="payload_hash"):
                call("PUT", HOST, "/", payload_hash=payload)


class TestRegions:
    @pytest.mark.parametrize("region", ["", None])
    def test_no_region(self, region):
        with pytest.raises(RegionError, match="region is empty"):
            SigV4Signer(CREDENTIALS, region)

    @pytest.mark.parametrize(
        ("region", "hint"),
        [
            (["us-west-2"], "region must be a str such as 'eu-west-1', not a list"),
            (1, "region must be a str such as 'eu-west-1', not a int"),
            ("us-west-2a", "region is 'us-west-2a', a zone: give its region, 'us-west-2'"),
            ("us-gov-west-1b", "a zone: give its region, 'us-gov-west-1'"),
            ("us-west-2-lax-1a", "a zone: give its region, 'us-west-2'"),
            ("us-east-1-wl1-bos-wlz-1", "a zone: give its region, 'us-east-1'"),
            ("usw2-az1", "'usw2-az1', the id of a zone: give the region that it is in"),
            ("US-WEST-2", "region is 'US-WEST-2': write it in lower case, 'us-west-2'"),
            ("us-Gov-west-1", "'us-Gov-west-1': write it in lower case, 'us-gov-west-1'"),
            ("US-WEST-2A", "region is 'US-WEST-2A', a zone: give its region, 'us-west-2'"),
            ("us west 2", "region is 'us west 2', which is no region; they look like"),
            ("us-west-2\n", "which is no region"),
            ("\N{SUPERSCRIPT TWO}", "which is no region"),
        ],
    )
    def test_what_is_no_region_says_what_is(self, region, hint):
        with pytest.raises(RegionError, match=re.escape(hint)):
            SigV4Signer(CREDENTIALS, region)
        if isinstance(region, str) and region == region.strip():  # as names in a set are
            with pytest.raises(RegionError, match=re.escape(hint.removeprefix("region is"))):
                SigV4ASigner(CREDENTIALS, ["eu-west-1", region])

    def test_those_of_all_partitions_are_regions(self):
        session = botocore.session.Session()
        regions = {
            region
            for partition in session.get_available_partitions()
            for service in ("ec2", "sts", "s3", "vpc-lattice")
            for region in session.get_available_regions(service, partition, allow_non_regional=True)
        }
        assert {"us-gov-west-1", "cn-north-1", "us-iso-east-1"} <= regions
        regions.add("eusc-de-east-1")  # an older botocore does not have it
        # Those of other vendors, and of AWS's pseudo-regions.
        for region in (*regions, "aws-global", "auto", "fr-par", "us-west-004", "nyc3", "local"):
            assert SigV4Signer(CREDENTIALS, region).region == region
            assert SigV4ASigner(CREDENTIALS, [region, "us-*"]).region_set == f"{region},us-*"

    @pytest.mark.parametrize("region", ["RegionOne", "SBG", "GRA", "DE1", "EU", "Ruhr-1"])
    @pytest.mark.parametrize("service", ["s3", "vpc-lattice-svcs"])
    def test_upper_case_of_other_vendors(self, region, service):
        """OpenStack's and OVHcloud's; a scope is case-sensitive."""
        signed = SigV4Signer(CREDENTIALS, region, service).sign("GET", HOST, "/")
        assert f"/{region}/{service}/" in signed["Authorization"]
        assert SigV4ASigner(CREDENTIALS, [region]).region_set == region

    def test_upper_case_with_a_wildcard(self):
        with pytest.raises(RegionError, match=re.escape("in lower case, 'us-east-*'")):
            SigV4ASigner(CREDENTIALS, "US-EAST-*")

    @pytest.mark.parametrize("region_set", ["", " ", ",", [], (), [""], iter([])])
    def test_no_region_in_a_set(self, region_set):
        with pytest.raises(RegionError, match="region_set is empty"):
            SigV4ASigner(CREDENTIALS, region_set)

    @pytest.mark.parametrize(
        ("region_set", "sent"),
        [
            ("*", "*"),
            ("eu-west-1", "eu-west-1"),
            ("eu-west-1,us-east-*", "eu-west-1,us-east-*"),
            (" eu-west-1 , us-east-1", "eu-west-1,us-east-1"),
            (["eu-west-1", "us-*"], "eu-west-1,us-*"),
            (iter(("eu-west-1",)), "eu-west-1"),
        ],
    )
    def test_names_in_a_set(self, region_set, sent):
        signer = SigV4ASigner(CREDENTIALS, region_set)
        assert signer.sign("GET", HOST, "/")["x-amz-region-set"] == sent

    @pytest.mark.parametrize("bad", ["eu west", "eu-west\n-1", "eu_west", "é", "a,,b", "a,"])
    def test_what_is_none(self, bad):
        with pytest.raises(ConfigurationError, match="is no region"):
            SigV4ASigner(CREDENTIALS, bad)


@pytest.mark.parametrize("make", [SigV4Signer, SigV4ASigner])
@pytest.mark.parametrize(
    ("argument", "bad"),
    [
        ("service", ""),
        ("service", "a/b"),
        ("service", "é"),
        ("service", "a\n"),
        ("path_encoding", ""),
        ("path_encoding", "triple"),
        ("normalization", ""),
        ("normalization", None),
        ("signed_headers", "content-type"),
        ("signed_headers", ["a b"]),
        ("signed_headers", [b"content-type"]),
        ("signed_headers", [None]),
        ("signed_headers", [""]),
    ],
)
def test_the_other_arguments(make, argument, bad):
    with pytest.raises((ConfigurationError, InvalidHeaderError)):
        make(CREDENTIALS, "eu-west-1", **{argument: bad})
