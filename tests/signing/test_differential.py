"""Our signatures beside those of AWS's own signers.

botocore signs queries as they stand, so it is asked about canonically encoded requests; AWS's C
runtime decodes and encodes them again, as the services do, so it is asked about all others.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lattice_client.signing import EMPTY_PAYLOAD, SigV4ASigner, SigV4Signer, presign
from lattice_client.signing.sigv4a import private_key
from support.oracles import (
    QUERY_EXPIRES,
    Case,
    botocore_s3_link,
    botocore_stages,
    crt_authorization,
    crt_request,
)
from support.requests_to_sign import hosts, raw_cases, simple_cases

# CI runs them on each Python, every time with other examples.
thorough = settings(max_examples=200)


def signed_by_us(case: Case, **options) -> str:
    signer = SigV4Signer(case.credentials, case.region, case.service, **options)
    return signer.sign(case.method, case.host, case.target, case.headers, now=case.now)[
        "Authorization"
    ]


@thorough
@given(simple_cases)
@example(Case("GET", "orders.example.com", "/?a-b=1&a=1"))
@example(Case("GET", "orders.example.com", "/?page2=2&page=1"))
def test_each_stage_as_botocore(case):
    ours = SigV4Signer(case.credentials, case.region)
    arguments = (case.method, case.host, case.target, case.headers)
    theirs = botocore_stages(case)
    assert ours.canonical_request(*arguments, now=case.now) == theirs.canonical_request
    assert ours.string_to_sign(*arguments, now=case.now) == theirs.string_to_sign
    assert ours.sign(*arguments, now=case.now)["Authorization"] == theirs.authorization


@thorough
@given(raw_cases)
@example(Case("GET", "orders.example.com", "/?x"))
@example(Case("GET", "orders.example.com", "/orders?"))
@example(Case("GET", "orders.example.com", "/?=v"))
@example(Case("GET", "orders.example.com", "/?a=b=c"))
@example(Case("GET", "orders.example.com", "////?a%20=%7e"))
def test_raw_requests_as_the_c_runtime(case):
    assert signed_by_us(case) == crt_authorization(case)


@thorough
@given(raw_cases)
def test_single_encoding_as_the_c_runtime(case):
    expected = crt_authorization(case, double=False, normalize=False)
    assert signed_by_us(case, path_encoding="single") == expected


@thorough
@given(raw_cases)
def test_without_normalization_as_the_c_runtime(case):
    assert signed_by_us(case, normalization="none") == crt_authorization(case, normalize=False)


@thorough
@given(raw_cases)
@example(Case("GET", "orders.example.com", "/a%20b//c/../d/."))
def test_double_raw_encoding_as_the_c_runtime(case):
    expected = crt_authorization(case, normalize=False)
    assert signed_by_us(case, path_encoding="double-raw") == expected


@thorough
@given(st.data())
def test_one_signer_for_many_requests_and_a_clock_that_steps_both_ways(data):
    case = data.draw(raw_cases)
    signer = SigV4Signer(case.credentials, case.region)
    now = case.now
    for step in data.draw(st.lists(st.sampled_from([0, 1, -1, 86_400, -86_400, 3]), max_size=5)):
        now = max(0, now + step)
        again = Case(
            case.method,
            data.draw(hosts),
            case.target,
            credentials=case.credentials,
            now=now,
            region=case.region,
        )
        ours = signer.sign(again.method, again.host, again.target, now=now)
        assert ours["Authorization"] == crt_authorization(again)
        assert ours["x-amz-date"] in signer.string_to_sign("GET", again.host, "/", now=now)


def parameter(target: str, name: str) -> str:
    return target.partition(f"{name}=")[2].partition("&")[0]


@thorough
@given(raw_cases)
@example(Case("GET", "orders.example.com", "/orders?q=what?"))
@example(Case("GET", "orders.example.com", "/??"))
@example(Case("GET", "orders.example.com", "/?a&"))
def test_signatures_in_the_query_as_the_c_runtime(case):
    # In a query the runtime insists on a Lattice request's payload header being the only other one.
    case = replace(case, headers=())
    signer = SigV4Signer(case.credentials, case.region)
    ours = presign(signer, case.method, case.host, case.target, now=case.now, expires=3600)
    theirs = crt_request(case, query=True).path
    assert parameter(ours.target, "X-Amz-Signature") == parameter(theirs, "X-Amz-Signature")
    assert parameter(ours.target, "X-Amz-SignedHeaders") == "host%3Bx-amz-content-sha256"


@thorough
@given(simple_cases, st.sampled_from([EMPTY_PAYLOAD, "0123456789abcdef" * 4, None]))
def test_links_to_objects_as_botocore_and_the_c_runtime(case, payload):
    """With any hash: S3 takes none in a query."""
    case = replace(case, service="s3", headers=())
    # botocore keeps one parameter of each name.
    without_query = replace(case, target=case.target.partition("?")[0])
    for each in (case, without_query):
        signer = SigV4Signer(each.credentials, each.region, "s3")
        arguments = (each.method, each.host, each.target)
        ours = presign(
            signer, *arguments, payload_hash=payload, now=each.now, expires=QUERY_EXPIRES
        )
        signature = parameter(ours.target, "X-Amz-Signature")
        theirs = crt_request(each, query=True, double=False, normalize=False, payload_header=False)
        assert signature == parameter(theirs.path, "X-Amz-Signature")
    assert signature == parameter(botocore_s3_link(without_query), "X-Amz-Signature")


@thorough
@given(raw_cases)
def test_the_c_runtimes_sigv4a_signatures_hold_for_our_key_and_our_text(case):
    signer = SigV4ASigner(case.credentials, case.region)
    number = private_key(case.credentials.access_key, case.credentials.secret_key)
    key = ec.derive_private_key(number, ec.SECP256R1()).public_key()
    theirs = crt_authorization(case, asymmetric=True)
    arguments = (case.method, case.host, case.target, case.headers)
    ours = signer.sign(*arguments, now=case.now)["Authorization"]
    assert ours.partition("Signature=")[0] == theirs.partition("Signature=")[0]
    for authorization in (ours, theirs):
        signature = bytes.fromhex(authorization.partition("Signature=")[2])
        text = signer.string_to_sign(*arguments, now=case.now)
        key.verify(signature, text.encode(), ec.ECDSA(SHA256()))


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        ("a=%zz", "a=%25zz"),
        ("a=%", "a=%25"),
        ("%", "%25="),
        ("a=%4", "a=%254"),
        ("a=%%41", "a=%25A"),
        ("a=%e9", "a=%E9"),
    ],
)
def test_malformed_escapes_have_a_documented_form(query, canonical):
    signer = SigV4Signer(Case("", "", "").credentials, "eu-west-1")
    lines = signer.canonical_request("GET", "orders.example.com", f"/?{query}").split("\n")
    assert lines[2] == canonical
