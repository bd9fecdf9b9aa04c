"""The doctor names each fault, which is staged over real sockets."""

from __future__ import annotations

import errno
import json
import re
import socket
import ssl
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import trustme

from lattice_client.cli.doctor.findings import FAULTS
from lattice_client.testing import AuthPolicy, LocalLattice, serve
from support import canary
from support.in_between import in_between
from support.raw_server import raw_server

NAME = "orders.internal.example.com"
DENY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "vpc-lattice-svcs:Invoke",
    "Resource": "*",
}


@pytest.fixture
def diagnose(run, credentials):
    """The doctor's faults, and its text about the first one."""

    def diagnose(url, *arguments):
        result = run("doctor", "--json", url, *arguments)
        told = result.json
        assert not canary.leaks(result.text)
        assert result.code == bool(told["faults"])
        assert set(told["faults"]) <= FAULTS.keys()
        at_fault = [check for check in told["checks"] if check["fault"]]
        assert all(check["next_step"] for check in at_fault)
        said = f"{at_fault[0]['text']} {at_fault[0]['next_step']}" if at_fault else ""
        return told["faults"], said, told["checks"]

    return diagnose


@pytest.fixture
def url(lattice_http):
    return f"{lattice_http.url_for('orders')}/orders?status=open"


def through(port):
    return "--connect-to", f"127.0.0.1:{port}"


# Nothing wrong


def test_no_fault(run, credentials, url):
    result = run("doctor", url)
    assert result.code == 0
    assert result.stderr == ""
    assert "\x1b" not in result.text
    lines = result.text.splitlines()
    assert [line.split()[1] for line in lines[:-1]] == [
        "credentials",
        "region",
        "name",
        "connection",
        "TLS",
        "clock",
        "call",
    ]
    assert "ASIACANARYEXAMPLE, from the environment." in lines[0]
    assert "GET /orders, signed, was answered with 200" in lines[6]
    assert lines[-1] == "No fault found."


def test_no_fault_over_tls(diagnose, lattice_https):
    faults, _, checks = diagnose(lattice_https.url_for("orders"), "--cacert", lattice_https.ca_file)
    assert faults == []
    assert "TLSv1.3; the certificate is for" in checks[4]["text"]


# Credentials, region, clock


@pytest.fixture
def anonymous(monkeypatch):
    def forget(*names):
        for name in names:
            monkeypatch.delenv(name)

    return forget


def test_no_credentials(diagnose, url, anonymous):
    anonymous("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    faults, said, checks = diagnose(url)
    assert faults == ["no credentials"]
    assert "AWS_PROFILE" in said
    # Checks that need no credentials are made.
    assert checks[3]["status"] == checks[5]["status"] == "ok"
    assert checks[6]["status"] == "skipped"


@pytest.fixture
def profile(monkeypatch, tmp_path, anonymous):
    """The profile ``orders``, which is in use."""
    anonymous("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "orders")

    def write(*lines: str) -> None:
        (tmp_path / "config").write_text("\n".join(["[profile orders]", *lines]))

    return write


def test_a_login_that_has_expired(diagnose, url, profile, monkeypatch, tmp_path):
    monkeypatch.setattr("botocore.tokens.SSOTokenProvider._SSO_TOKEN_CACHE_DIR", str(tmp_path))
    profile(
        "sso_session = corp",
        "sso_account_id = 123456789012",
        "sso_role_name = orders",
        "[sso-session corp]",
        "sso_start_url = https://example.awsapps.com/start",
        "sso_region = eu-west-1",
    )
    faults, said, _ = diagnose(url)
    assert faults == ["expired credentials"]
    assert "login of profile 'orders' has expired" in said
    assert "Run aws sso login --profile orders." in said
    assert "AWS_PROFILE" not in said


def test_a_profile_that_gives_none(diagnose, url, profile):
    profile("region = us-west-2")
    faults, said, _ = diagnose(url)
    assert faults == ["no credentials"]
    assert "Look at what the profile 'orders' says" in said
    assert "AWS_PROFILE" not in said


def test_a_process_that_waits_for_a_person(diagnose, url, profile, monkeypatch, tmp_path):
    """The library's own patience is shorter."""
    monkeypatch.setattr("lattice_client.credentials.refreshing._PATIENCE", 0.05)
    held = canary.credentials()
    answer = {
        "Version": 1,
        "AccessKeyId": held.access_key,
        "SecretAccessKey": held.secret_key,
        "SessionToken": held.token,
    }
    (tmp_path / "process.py").write_text(
        f"import time\ntime.sleep(1)\nprint({json.dumps(answer)!r})"
    )
    profile(f"credential_process = {sys.executable} {tmp_path / 'process.py'}")
    faults, _, _ = diagnose(url)
    assert faults == []


def test_malformed_credentials(diagnose, url, anonymous):
    anonymous("AWS_SECRET_ACCESS_KEY")
    faults, said, _ = diagnose(url)
    assert faults == ["malformed credentials"]
    assert "AWS_SECRET_ACCESS_KEY is not" in said


def test_credentials_that_are_known_to_have_expired(diagnose, url, monkeypatch):
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")
    faults, said, _ = diagnose(url)
    assert faults == ["expired credentials"]
    assert "2020-01-01" in said


def test_credentials_that_expire_soon(diagnose, url, monkeypatch):
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", soon)
    faults, _, checks = diagnose(url)
    assert faults == []
    assert checks[0]["status"] == "warning"


@pytest.fixture
def own(lattice, monkeypatch):
    """A Lattice to change, and its caller's credentials in the environment."""
    held = lattice.caller("orders-frontend").credentials
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", held.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", held.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", held.token)
    return lattice


def test_credentials_that_lattice_calls_expired(diagnose, own):
    own.caller("orders-frontend").expire()
    faults, _, _ = diagnose(own.url_for("orders"))
    assert faults == ["expired credentials"]


def test_unknown_credentials(diagnose, own):
    own.caller("orders-frontend").revoke()
    faults, _, _ = diagnose(own.url_for("orders"))
    assert faults == ["unknown credentials"]


def test_a_wrong_secret_key(diagnose, url, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary/another-one")
    faults, said, _ = diagnose(url)
    assert faults == ["wrong secret key"]
    assert "--whoami" in said


def test_no_region(diagnose, url, anonymous):
    anonymous("AWS_REGION")
    assert diagnose(url)[0] == ["no region"]


@pytest.mark.parametrize("ahead", [-1000, 1000])
def test_the_clock_is_off(diagnose, own, ahead):
    own.lattice.clock = lambda: time.time() - ahead
    faults, said, _ = diagnose(own.url_for("orders"))
    assert faults == ["clock", "clock"]
    assert f"17 min {'ahead of' if ahead > 0 else 'behind'} the server's" in said


def test_the_clock_is_off_by_a_little(diagnose, own):
    own.lattice.clock = lambda: time.time() - 100
    faults, _, checks = diagnose(own.url_for("orders"))
    assert faults == []
    assert checks[5]["status"] == "warning"


def test_another_region_than_the_services(diagnose, url):
    faults, said, _ = diagnose(url, "--region", "eu-west-1")
    assert faults == ["wrong region"]
    assert "--region us-west-2" in said


def test_another_region_than_the_name_says(diagnose, lattice_http):
    managed = lattice_http.service("orders").managed_name
    faults, said, checks = diagnose(
        f"http://{managed}:{lattice_http.port}", "--region", "eu-west-1"
    )
    assert faults[0] == "wrong region"
    assert "the service's name says us-west-2" in said
    assert checks[1]["fault"] == "wrong region"


@pytest.mark.parametrize("service", ["vpc-lattice", "execute-api"])
def test_a_wrong_service_name(diagnose, url, service):
    faults, said, _ = diagnose(url, "--service", service)
    assert faults == ["wrong service name"]
    assert "leave out --service" in said.lower()


# Name, connection, TLS


def test_a_name_that_does_not_resolve(diagnose):
    faults, said, _ = diagnose("https://orders.nowhere.invalid")
    assert faults == ["name does not resolve"]
    assert "private hosted zone" in said


def test_an_old_tutorials_name(diagnose, monkeypatch):
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    faults, said, _ = diagnose("https://orders-0a1b2c.7d67968.vpc-lattice-svcs.aws")
    assert faults == ["name does not resolve"]
    assert ".vpc-lattice-svcs.REGION.on.aws" in said


def test_something_else_than_lattice(diagnose):
    with raw_server() as server:
        faults, said, _ = diagnose(server.url)
    assert faults == ["not Lattice"]
    assert "request id" in said


def test_unreachable(diagnose, nobody_listens):
    faults, said, _ = diagnose(f"http://127.0.0.1:{nobody_listens}")
    assert faults == ["unreachable"]
    assert "connection refused" in said


def test_an_address_family_that_does_not_work(diagnose, monkeypatch, lattice_http):
    resolve = socket.getaddrinfo

    def both(host, port, *arguments, **named):
        found = resolve(host, port, *arguments, **named)
        if host == NAME:
            found.append((socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)))
        return found

    monkeypatch.setattr(socket, "getaddrinfo", both)
    faults, _, checks = diagnose(lattice_http.url_for("orders"))
    assert faults == []
    assert checks[3]["status"] == "warning"
    assert "IPv6" in checks[3]["next_step"]


def test_tls_at_an_http_listener(diagnose, lattice_http):
    faults, said, _ = diagnose(f"https://{NAME}:{lattice_http.port}")
    assert faults == ["no TLS"]
    assert "http://" in said


def test_a_certificate_for_another_name(diagnose, lattice_https):
    faults, said, _ = diagnose(
        "https://parking.example.com",
        *("--cacert", lattice_https.ca_file),
        *through(lattice_https.port),
    )
    assert faults == ["TLS name mismatch"]
    assert "not for parking.example.com" in said


def test_a_certificate_by_an_authority_that_is_not_trusted(diagnose, lattice_https):
    faults, said, _ = diagnose(lattice_https.url_for("orders"))
    assert faults == ["certificate not trusted"]
    assert "--cacert" in said


@contextmanager
def tls_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
                with context.wrap_socket(connection, server_side=True) as tls:
                    tls.recv(1)
            except ssl.SSLError:
                continue
            except OSError:
                return

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(20)


def test_a_certificate_that_has_expired(diagnose, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    old = authority.issue_cert(NAME, not_after=datetime(2024, 1, 1, tzinfo=UTC))
    with tls_server(old) as port:
        faults, said, _ = diagnose(
            f"https://{NAME}", "--cacert", tmp_path / "ca.pem", *through(port)
        )
    assert faults == ["certificate expired"]
    assert "2024-01-01" in said


def test_an_alias_without_a_custom_domain_over_tls(diagnose, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    lattices = authority.issue_cert("*.7d67968.vpc-lattice-svcs.us-west-2.on.aws")
    with tls_server(lattices) as port:
        faults, said, _ = diagnose(
            f"https://{NAME}", "--cacert", tmp_path / "ca.pem", *through(port)
        )
    assert faults == ["alias without custom domain"]
    assert "ACM" in said


def test_an_alias_without_a_custom_domain(diagnose, lattice_http, monkeypatch):
    managed = lattice_http.service("orders").managed_name
    resolve = socket.getaddrinfo

    def aliased(host, port, *arguments, **named):
        if host != "shop.example.com":
            return resolve(host, port, *arguments, **named)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, managed, ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", aliased)
    url = f"http://shop.example.com:{lattice_http.port}"
    faults, said, checks = diagnose(url)
    assert faults == ["alias without custom domain"]
    assert f"--resolve shop.example.com={managed}" in said
    assert "CNAME" in checks[2]["text"]
    # And its advice helps.
    assert diagnose(url, "--resolve", f"shop.example.com={managed}")[0] == []


RESOURCE = "db-0a1b.7d67968.vpc-lattice-rsc.us-west-2.on.aws"
MANAGED = "vpce-0a1b-snsa-0c2d.7d67968.vpc-lattice-svcs.us-west-2.on.aws"


@pytest.mark.parametrize(
    ("host", "canonical", "reason", "says"),
    [
        (RESOURCE, RESOURCE, "resource", "the name of a resource, at"),
        (f"{MANAGED}.example.com", "", "look-alike", "does not sign for it: it looks like"),
        ("shop.example.com", "", "private address", "DnsNames(networks=[…])"),
        ("shop.example.com", MANAGED, "unlisted network", "DnsNames(networks=[…])"),
    ],
)
def test_a_name_that_is_not_signed(diagnose, monkeypatch, host, canonical, reason, says):
    def resolve(_, port, *__: object, **___: object):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, canonical, ("10.0.16.5", port))]

    def connect(*_: object) -> None:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    name = diagnose(f"http://{host}")[2][2]
    assert name["details"]["unsigned"] == reason
    assert says in name["text"]
    by_spelling = reason in ("resource", "look-alike")
    assert name["status"] == ("warning" if by_spelling else "ok")
    assert bool(name["next_step"]) == by_spelling
    assert ("With names=Names(), requests to" in name["text"]) != by_spelling


def test_the_doctor_says_why_its_call_is_not_signed(diagnose, own):
    own.lattice.add_service("database", domain=RESOURCE)
    faults, said, checks = diagnose(f"http://{RESOURCE}", *through(own.port))
    assert faults == ["unsigned"]
    assert "no signature is verified there" in said
    assert [check["status"] for check in checks if check["check"] == "region"] == ["skipped"]


ZONES = (
    b"<ListHostedZonesResponse><HostedZones><HostedZone><Id>/hostedzone/Z1</Id>"
    b"<Name>example.com.</Name><CallerReference>1</CallerReference><Config>"
    b"<PrivateZone>true</PrivateZone></Config></HostedZone></HostedZones>"
    b"<IsTruncated>false</IsTruncated><MaxItems>100</MaxItems></ListHostedZonesResponse>"
)
RECORDS = (
    b"<ListResourceRecordSetsResponse><ResourceRecordSets><ResourceRecordSet>"
    b"<Name>shop.example.com.</Name><Type>A</Type><AliasTarget><HostedZoneId>Z2</HostedZoneId>"
    b"<DNSName>%s.</DNSName><EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>"
    b"</ResourceRecordSet></ResourceRecordSets><IsTruncated>false</IsTruncated>"
    b"<MaxItems>100</MaxItems></ListResourceRecordSetsResponse>"
)


@pytest.mark.parametrize("domain", [None, "shop.example.com"])
def test_aws_knows_what_dns_does_not_show(diagnose, lattice_http, monkeypatch, domain):
    """An alias of Route 53, for a service that has no custom domain, or has this one."""
    service = lattice_http.service("orders")
    managed = service.managed_name.encode()

    def control_plane(request):
        path = request.target.partition(b"?")[0]
        named = {"customDomainName": domain} if domain else {}
        listed = {"arn": service.arn, "dnsEntry": {"domainName": service.managed_name}, **named}
        body = {
            b"/2013-04-01/hostedzone": ZONES,
            b"/2013-04-01/hostedzone/Z1/rrset": RECORDS % managed,
            b"/services": json.dumps({"items": [listed]}).encode(),
        }.get(path, b'{"items": []}')
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    url = f"http://shop.example.com:{lattice_http.port}"
    at = through(lattice_http.port)
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *a, **k: resolve("127.0.0.1" if "shop" in str(host) else host, *a, **k),
    )
    assert diagnose(url, *at)[0] == ["no such service"]
    with raw_server(control_plane) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", aws.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_VPC_LATTICE", aws.url)
        faults, _, checks = diagnose(url, "--ask-aws")
    what = "a custom domain of" if domain else "only an alias of"
    assert f"it is {what} {service.arn}" in checks[2]["text"]
    assert checks[2]["details"]["managed_name"] == service.managed_name
    # The local Lattice does not know the domain in either case.
    assert faults == ["alias without custom domain"]


def test_aws_that_refuses_to_answer(diagnose, url, monkeypatch):
    with raw_server(lambda _: b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n") as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", aws.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_VPC_LATTICE", aws.url)
        faults, _, checks = diagnose(url, "--ask-aws")
    assert faults == []
    assert "AWS adds nothing" in checks[2]["text"]


def test_a_service_that_is_not_in_the_network(diagnose, lattice_http):
    faults, said, _ = diagnose("http://parking.example.com", *through(lattice_http.port))
    assert faults == ["no such service"]
    assert "service network" in said


# Policies


def test_the_service_networks_policy(diagnose, own):
    own.lattice.network.auth_type = "AWS_IAM"
    own.lattice.network.policy = AuthPolicy(())
    faults, said, checks = diagnose(own.url_for("orders"))
    assert faults == ["network policy"]
    assert "orders-frontend" in said
    assert checks[6]["details"]["caller"].endswith("assumed-role/orders-frontend/session")


def test_the_services_policy(diagnose, own):
    own.service("orders").policy = {"Statement": DENY}
    faults, said, _ = diagnose(own.url_for("orders"))
    assert faults == ["service policy"]
    assert "Deny" in said


def test_the_callers_own_policy(diagnose, own, monkeypatch):
    held = own.add_caller("reports", identity_policies=()).credentials
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", held.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", held.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", held.token)
    faults, said, _ = diagnose(own.url_for("orders"))
    assert faults == ["identity policy"]
    assert "IAM" in said


def test_unsigned(diagnose, url):
    faults, _, checks = diagnose(url, "--unsigned")
    assert faults == ["unsigned"]
    assert [check["status"] for check in checks[:2]] == ["skipped"] * 2


# On the way


def without(name):
    return lambda lines: [line for line in lines if not line.lower().startswith(name)]


def replacing(old, new):
    return lambda lines: [re.sub(old, new, line) for line in lines]


def test_a_proxy_that_removes_the_signature(diagnose, lattice_http):
    with in_between(lattice_http.port, without(b"authorization")) as port:
        faults, said, _ = diagnose(f"http://{NAME}", *through(port))
    assert faults == ["signature removed on the way"]
    assert "proxies" in said


def test_a_proxy_that_signs_the_payload(diagnose, lattice_http):
    hashed = replacing(b"UNSIGNED-PAYLOAD", b"e3b0c442" * 8)
    with in_between(lattice_http.port, hashed) as port:
        faults, said, _ = diagnose(f"http://{NAME}", *through(port))
    assert faults == ["payload signed on the way"]
    assert "aws-sigv4-proxy" in said


def test_a_proxy_that_removes_the_payload_header(diagnose, lattice_http):
    with in_between(lattice_http.port, without(b"x-amz-content-sha256")) as port:
        faults, _, _ = diagnose(f"http://{NAME}", *through(port))
    assert faults == ["header removed on the way"]


def test_a_proxy_that_changes_a_header_of_the_users(diagnose, lattice_http):
    lowering = replacing(b"espresso-[0-9]", b"espresso")
    with in_between(lattice_http.port, lowering) as port:
        faults, said, checks = diagnose(
            f"http://{NAME}/orders?a=b",
            *("-H", "x-amz-meta-kind: crema", "-H", "x-amz-meta-order: espresso-7"),
            *through(port),
        )
    assert faults == ["header changed on the way"]
    assert "x-amz-meta-order" in said
    assert checks[6]["details"]["headers"] == ["x-amz-meta-order"]


def test_a_proxy_that_changes_a_header_of_the_signers(diagnose, lattice_http):
    """An upstream that sets its Date: another second of the same minute."""

    def dated(lines):
        return [
            line[:-2] + b"%d" % ((line[-2] - 47) % 10) + b"Z"
            if line.lower().startswith(b"x-amz-date")
            else line
            for line in lines
        ]

    with in_between(lattice_http.port, dated) as port:
        faults, said, _ = diagnose(f"http://{NAME}", *through(port))
    assert faults == ["header changed on the way"]
    assert "x-amz-date" in said


def test_a_proxy_that_adds_a_header(diagnose, lattice_http):
    adding = lambda lines: [*lines, b"x-amz-trace: 1"]  # noqa: E731
    with in_between(lattice_http.port, adding) as port:
        faults, _, checks = diagnose(f"http://{NAME}", *through(port))
    assert faults == ["header added on the way"]
    assert checks[6]["details"]["header"] == "x-amz-trace"


def test_a_proxy_that_changes_the_query(diagnose, lattice_http):
    with in_between(lattice_http.port, replacing(b"utm=1&?", b"")) as port:
        faults, _, _ = diagnose(f"http://{NAME}/orders?utm=1&a=b", *through(port))
    assert faults == ["query changed on the way"]


def test_a_proxy_that_changes_the_path(diagnose, lattice_http):
    with in_between(lattice_http.port, replacing(b" /v1/", b" /")) as port:
        faults, _, _ = diagnose(f"http://{NAME}/v1/orders", *through(port))
    assert faults == ["path changed on the way"]


def test_a_post_is_not_tried_out(diagnose, lattice_http):
    before = len(lattice_http.access_log)
    with in_between(lattice_http.port, replacing(b" /v1/", b" /")) as port:
        faults, said, _ = diagnose(f"http://{NAME}/v1/orders", "-X", "POST", *through(port))
    assert faults == ["wrong secret key"]
    assert "with GET" in said
    assert len(lattice_http.access_log) == before + 1


def test_a_path_that_is_read_in_the_other_encoding(diagnose, credentials):
    local = LocalLattice(path_encoding="single")
    local.add_service("orders", domain=NAME)
    local.add_caller("orders-frontend", credentials=canary.credentials())
    with serve(local) as running:
        faults, said, _ = diagnose(f"http://{NAME}/a:b%20c", *through(running.port))
    assert faults == ["path encoding"]
    assert "--path-encoding single" in said


# The identity


STS = (
    b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
    b"<GetCallerIdentityResult><Arn>arn:aws:sts::111122223333:assumed-role/orders/s</Arn>"
    b"</GetCallerIdentityResult></GetCallerIdentityResponse>"
)
STS_REFUSES = b"<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>"


@pytest.mark.parametrize(
    ("status", "answer", "says"),
    [
        (b"200 OK", STS, "you are arn:aws:sts::111122223333:assumed-role/orders/s"),
        (b"403 Forbidden", STS_REFUSES, "STS says InvalidClientTokenId"),
        (b"500 Oops", b"", "STS says 500"),
    ],
)
def test_who_am_i(diagnose, url, monkeypatch, status, answer, says):
    head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(answer))
    with raw_server(lambda _: head + answer) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        faults, _, checks = diagnose(url, "--whoami")
        (asked,) = sts.requests
        assert asked.verified(service="sts")
    assert faults == []
    assert says in checks[0]["text"]
    assert checks[0]["details"]["whoami"] == says


def test_sts_cannot_be_reached(diagnose, url, monkeypatch, nobody_listens):
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{nobody_listens}")
    faults, _, checks = diagnose(url, "--whoami")
    assert faults == []
    assert "STS cannot be reached from here" in checks[0]["text"]


def test_sts_is_asked_only_with_whoami(diagnose, url, monkeypatch):
    with raw_server() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        assert diagnose(url)[0] == []
        assert sts.requests == []


def test_where_credentials_and_names_come_from(diagnose, lattice_http, monkeypatch, tmp_path):
    held = canary.credentials()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name)
    config = tmp_path / "config"
    config.write_text(
        f"[profile orders]\naws_access_key_id={held.access_key}\n"
        f"aws_secret_access_key={held.secret_key}\naws_session_token={held.token}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    names = f"{NAME}=us-west-2@127.0.0.1:{lattice_http.port}"
    monkeypatch.setenv("LATTICE_CLIENT_NAMES", names)
    faults, _, checks = diagnose(f"http://{NAME}", "--profile", "orders")
    assert faults == []
    assert "from the configuration file, profile orders." in checks[0]["text"]
    assert checks[1]["text"] == "us-west-2, from LATTICE_CLIENT_NAMES."
    assert (
        f"connects to 127.0.0.1:{lattice_http.port}, set by LATTICE_CLIENT_NAMES"
        in checks[2]["text"]
    )


def test_a_proxy_of_the_environment(diagnose, lattice_http, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{lattice_http.port}")
    _, _, checks = diagnose(lattice_http.url_for("orders"))
    assert checks[3]["status"] == "warning"
    named = f"127.0.0.1:{lattice_http.port} (the proxy of http_proxy)"
    assert checks[3]["text"] == f"It goes through {named}."


@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        ("socks9://user:word@proxy:1080", "socks9://proxy:1080 (the proxy of http_proxy) is no"),
        ("proxy.nowhere.invalid:3128", "proxy.nowhere.invalid:3128 (the proxy of http_proxy) does"),
        ("http://127.0.0.1:REFUSED", "accepts no connection: Connection refused."),
    ],
)
def test_an_unusable_proxy(diagnose, lattice_http, monkeypatch, nobody_listens, proxy, says):
    monkeypatch.setenv("http_proxy", proxy.replace("REFUSED", str(nobody_listens)))
    faults, said, _ = diagnose(lattice_http.url_for("orders"))
    assert faults == ["unusable proxy"]
    assert says in said
    assert f"Set http_proxy to http://HOST:PORT, or go without it: no_proxy={NAME}." in said
    assert "word" not in said


def test_a_proxy_that_refuses(diagnose, monkeypatch):
    answer = b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"
    with raw_server(lambda _: answer) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        faults, said, checks = diagnose("https://orders.nowhere.invalid/")
    assert faults == ["unusable proxy"]
    assert "does not let it through: it answered 407. It wants a user and a password" in said
    # The proxy resolves the name.
    assert checks[2]["status"] == "warning"
    assert "does not resolve" in checks[2]["text"]


# The rest


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_failing_service(diagnose, own, status):
    async def failing(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    own.add_service("failing", domain="failing.example.com", target=failing)
    with own.resolving():
        faults, said, _ = diagnose(own.url_for("failing"))
    assert faults == ["failing service"]
    assert "access log" in said


def test_a_refusal_not_by_lattice(diagnose):
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nblocked"
    with raw_server(lambda _: answer) as server:
        faults, said, _ = diagnose(server.url)
    assert faults == ["refused by somebody else"]
    assert "firewall" in said


def test_no_answer(diagnose):
    with raw_server(faults=[None, "after the request"]) as server:
        faults, _, _ = diagnose(server.url)
    assert faults == ["no answer"]


def test_too_many_headers(diagnose, url):
    many = [part for number in range(101) for part in ("-H", f"x-{number}: 1")]
    assert diagnose(url, *many)[0] == ["header limits"]
