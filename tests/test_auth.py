"""Which requests are signed, for which region, with whose credentials and which body hash."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import io
import pickle
import threading
import time
import timeit

import aiohttp
import anyio
import httpx
import httpx2
import pytest
import requests

import lattice_client.httpx
import lattice_client.httpx2
from lattice_client import (
    ConfigurationError,
    Credentials,
    EnvironmentCredentials,
    ExpiredCredentialsError,
    LatticeAuth,
    NoCredentialsError,
    RegionError,
    SigningError,
    SigV4Auth,
    UnsignablePayloadError,
)
from lattice_client._auth.host_scope import HostScope
from lattice_client._wire.body import payload_hash
from lattice_client.auth import request_signer
from lattice_client.names import region_of
from support import canary

HTTPX = httpx, lattice_client.httpx
HTTPX2 = httpx2, lattice_client.httpx2
MANAGED = "orders-0a1b2c3d4e5f67890.7d67968.vpc-lattice-svcs.eu-west-1.on.aws"


def scope_of(request) -> tuple[str, ...]:
    """Date, region, service and ``aws4_request`` of a signed request."""
    return tuple(request.headers["Authorization"].split("/", 1)[1].split(",")[0].split("/"))


def signed(auth, url: str, **kwargs) -> requests.PreparedRequest:
    return requests.Request("POST", url, auth=auth, **kwargs).prepare()


class Counted:
    """A provider that counts how often it is asked."""

    def __init__(self) -> None:
        self.credentials = canary.credentials()
        self.peeked = 0

    def peek(self) -> Credentials:
        self.peeked += 1
        return self.credentials

    get = peek


class TestRegion:
    @pytest.mark.parametrize(
        ("host", "region"),
        [
            (MANAGED, "eu-west-1"),
            (MANAGED.upper() + ".:8443", "eu-west-1"),
            ("vpce-0a-snsa-0b.4232ccc.vpc-lattice-svcs.us-gov-west-1.on.aws", "us-gov-west-1"),
            ("x.y.vpc-lattice-rsc.ap-southeast-4.on.aws", "ap-southeast-4"),
            ("abc123.execute-api.us-east-2.amazonaws.com", "us-east-2"),
            ("search-x.eu-central-1.es.amazonaws.com", "eu-central-1"),
            ("orders.internal.example.com", None),
            (f"{MANAGED}.example.com", None),
            ("vpc-lattice-svcs.eu-west-1.on.aws.evil.example", None),
        ],
    )
    def test_in_a_host_name(self, host, region):
        assert region_of(host) == region

    def test_the_argument_wins(self):
        auth = LatticeAuth(region="us-east-1", credentials=canary.credentials())
        assert scope_of(signed(auth, f"https://{MANAGED}/"))[1] == "us-east-1"

    def test_then_the_managed_name(self, monkeypatch):
        monkeypatch.setenv("AWS_REGION", "us-east-2")
        auth = LatticeAuth(credentials=canary.credentials())
        assert scope_of(signed(auth, f"https://{MANAGED}/"))[1:3] == (
            "eu-west-1",
            "vpc-lattice-svcs",
        )
        other = MANAGED.replace("eu-west-1", "eu-west-2")
        assert scope_of(signed(auth, f"https://{other}/"))[1] == "eu-west-2"

    @pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
    def test_then_the_environment(self, monkeypatch, variable):
        monkeypatch.setenv(variable, "us-east-2")
        auth = LatticeAuth(credentials=canary.credentials())
        assert scope_of(signed(auth, "https://orders.example.com/"))[1] == "us-east-2"

    def test_the_newer_variable_wins(self, monkeypatch):
        monkeypatch.setenv("AWS_REGION", "us-east-2")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        auth = LatticeAuth(credentials=canary.credentials())
        assert scope_of(signed(auth, "https://orders.example.com/"))[1] == "us-east-2"

    def test_then_the_profile(self, monkeypatch, tmp_path):
        config = tmp_path / "config"
        config.write_text("[default]\nregion = eu-south-1\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", canary.SECRET)
        assert scope_of(signed(LatticeAuth(), "https://orders.example.com/"))[1] == "eu-south-1"

    def test_the_profile_is_asked_whoever_gives_the_credentials(self, monkeypatch, tmp_path):
        config = tmp_path / "config"
        config.write_text("[default]\nregion = eu-south-1\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        auth = LatticeAuth(credentials=canary.credentials())
        assert scope_of(signed(auth, "https://orders.example.com/"))[1] == "eu-south-1"

    def test_else_a_clear_error(self):
        with pytest.raises(RegionError, match=r"orders\.example\.com.*AWS_REGION.*region="):
            signed(LatticeAuth(credentials=canary.credentials()), "https://orders.example.com/")

    @pytest.mark.parametrize("algorithm", ["sigv4", "sigv4a"])
    @pytest.mark.parametrize(
        ("region", "hint"),
        [
            ("", "region is empty"),
            ([], "region must be a str.* not a list"),
            (["us-west-2"], "region must be a str.* not a list"),
            ("us-west-2a", "give its region, 'us-west-2'"),
            ("US-WEST-2", "in lower case, 'us-west-2'"),
        ],
    )
    def test_what_is_none_is_refused(self, algorithm, region, hint):
        with pytest.raises(RegionError, match=hint):
            LatticeAuth(region=region, algorithm=algorithm)

    @pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
    @pytest.mark.parametrize(
        ("region", "hint"),
        [
            ("us-west-2a", "is 'us-west-2a', a zone: give its region, 'us-west-2'"),
            ("US-WEST-2", "is 'US-WEST-2': write it in lower case, 'us-west-2'"),
        ],
    )
    def test_the_environments_too_by_its_name(self, monkeypatch, name, region, hint):
        monkeypatch.setenv(name, region)
        auth = LatticeAuth(credentials=canary.credentials())
        with pytest.raises(RegionError, match=f"^{name} {hint}"):
            signed(auth, "https://orders.example.com/")
        with pytest.raises(RegionError, match=f"^{name} {hint}"):
            auth.prefetch_sync()

    def test_the_profiles_too(self, monkeypatch, tmp_path):
        config = tmp_path / "config"
        config.write_text("[default]\nregion = eu-south-1a\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        with pytest.raises(RegionError, match=r"^the profile's region is 'eu-south-1a', a zone"):
            signed(LatticeAuth(credentials=canary.credentials()), "https://orders.example.com/")

    def test_an_old_tutorials_names_have_none(self):
        host = "orders-0a1b2c3d4e5f67890.7d67968.vpc-lattice-svcs.aws"
        with pytest.raises(RegionError, match=r"\.vpc-lattice-svcs\.REGION\.on\.aws"):
            signed(LatticeAuth(credentials=canary.credentials()), f"https://{host}/")


class TestCredentials:
    def test_none_anywhere(self):
        with pytest.raises(NoCredentialsError, match="AWS_ACCESS_KEY_ID"):
            signed(LatticeAuth(region="eu-west-1"), "https://orders.example.com/")

    def test_new_ones_are_used_at_once(self):
        class Rotating:
            current = Credentials("AKIDONE", "secret")

            def peek(self):
                return self.current

            get = peek

        provider = Rotating()
        auth = LatticeAuth(region="eu-west-1", credentials=provider)
        assert "AKIDONE" in signed(auth, "https://a.example/").headers["Authorization"]
        provider.current = Credentials("AKIDTWO", "secret", "token")
        request = signed(auth, "https://a.example/")
        assert "AKIDTWO" in request.headers["Authorization"]
        provider.current = Credentials("AKIDTHREE", "secret")
        # The same request signed again: the old token does not remain.
        assert "x-amz-security-token" not in auth(request).headers

    def test_a_provider_that_goes_on_giving_expired_ones_is_noticed(self, monkeypatch):
        class Forgetful:
            region = "no method"
            credentials = Credentials("AKID", "secret", "token", time.time() + 60)

            def peek(self):
                return self.credentials

            get = peek

        auth = LatticeAuth(region="eu-west-1", credentials=Forgetful())
        signed(auth, "https://orders.example.com/")
        now = time.time() + 61
        monkeypatch.setattr(time, "time", lambda: now)
        monkeypatch.setattr("lattice_client._auth.signer_cache.time", lambda: now)
        with pytest.raises(ExpiredCredentialsError, match="Forgetful"):
            signed(auth, "https://orders.example.com/")

    @pytest.mark.parametrize("library", ["httpx", "httpx on trio", "aiohttp"])
    def test_the_event_loop_goes_on_while_they_are_fetched(self, library):
        """get() waits for something that only the running loop can bring about."""
        fetching, seen = threading.Event(), threading.Event()

        class Slow:
            def peek(self):
                return None

            def get(self):
                fetching.set()
                assert seen.wait(20), "the event loop stood still"
                return canary.credentials()

        if library == "aiohttp":
            asyncio.run(self.with_aiohttp(Slow(), fetching, seen))
        else:
            import anyio

            backend = "trio" if "trio" in library else "asyncio"
            anyio.run(self.with_httpx, Slow(), fetching, seen, backend=backend)

    def test_after_a_rotation_no_thread_is_waited_for(self, monkeypatch):
        """The new credentials are there, and all that is left is quickly done."""

        class Rotating:
            current = canary.credentials("ASIAFIRST")

            def peek(self):
                return self.current

            get = peek

        provider = Rotating()
        auth = LatticeAuth(region="eu-west-1", credentials=provider)

        async def handler(request):
            return _Response()

        async def call(name: str) -> str:
            url = aiohttp.client.URL(f"https://{name}.example.com/")
            request = aiohttp.ClientRequest("GET", url, loop=asyncio.get_running_loop())
            await auth(request, handler)
            return request.headers["Authorization"]

        async def scenario() -> None:
            assert "ASIAFIRST" in await call("orders")
            monkeypatch.setattr("lattice_client._auth.request_signer.in_thread", None)
            assert "ASIAFIRST" in await call("books")
            provider.current = canary.credentials("ASIASECOND")
            assert "ASIASECOND" in await call("orders")

        asyncio.run(scenario())

    async def with_httpx(self, provider, fetching, seen):
        import anyio

        auth = lattice_client.httpx.LatticeAuth(region="eu-west-1", credentials=provider)
        transport = httpx.MockTransport(lambda _: httpx.Response(200))
        async with (
            httpx.AsyncClient(auth=auth, transport=transport) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(client.get, "https://orders.example.com/")
            while not fetching.is_set():
                await anyio.lowlevel.checkpoint()
            seen.set()

    async def with_aiohttp(self, provider, fetching, seen):
        auth = LatticeAuth(region="eu-west-1", credentials=provider)

        async def handler(request):
            return _Response()

        request = aiohttp.ClientRequest("GET", aiohttp.client.URL("https://orders.example.com/"))
        task = asyncio.ensure_future(auth(request, handler))
        while not fetching.is_set():  # noqa: ASYNC110 it is set in a thread
            await asyncio.sleep(0)
        seen.set()
        await task
        assert "Authorization" in request.headers


class _Response:
    status = 200
    headers: dict[str, str] = {}  # noqa: RUF012


class TestHosts:
    @pytest.mark.parametrize(
        ("pattern", "url", "in_scope"),
        [
            ("orders.example.com", "https://orders.example.com/", True),
            ("orders.example.com", "https://orders.example.com:8443/", True),
            ("Orders.Example.com", "https://ORDERS.example.COM/", True),
            ("orders.example.com", "https://orders.example.com.evil.example/", False),
            ("orders.example.com", "https://xorders.example.com/", False),
            ("*.example.com", "https://a.b.example.com/", True),
            ("*.example.com", "https://example.com/", False),
            ("*.example.com", "https://example.com.evil.example/", False),
            ("*.example.com", "https://evil.example/?.example.com", False),
            ("orders.example.com:8443", "https://orders.example.com:8443/", True),
            ("orders.example.com:8443", "https://orders.example.com/", False),
            ("127.0.0.1", "http://127.0.0.1:80/", True),
            ("127.0.0.1", "http://127a0a0a1/", False),
            ("[::1]", "http://[::1]:8080/", True),
            ("[::1]:8080", "http://[::1]:8080/", True),
            ("*", "https://anything.example/", True),
            ("*:8443", "https://anything.example:8443/", True),
            ("*:8443", "https://anything.example/", False),
            ("orders.example.com.", "https://orders.example.com/", True),
            ("bücher.example.com", "https://xn--bcher-kva.example.com/", True),
        ],
    )
    def test_patterns(self, pattern, url, in_scope):
        auth = LatticeAuth(
            region="eu-west-1", credentials=canary.credentials(), hosts=["none.example", pattern]
        )
        for _ in range(2):  # the second answer is remembered
            assert ("Authorization" in signed(auth, url).headers) is in_scope

    def test_user_information_is_no_host(self):
        auth = LatticeAuth(
            region="eu-west-1", credentials=canary.credentials(), hosts=["orders.example.com"]
        )
        request = httpx.Request("GET", "https://orders.example.com:x@evil.example/")
        assert "Authorization" not in auth(request).headers

    def test_none_at_all(self):
        with pytest.raises(ConfigurationError, match=r"hosts is empty.*hosts=None"):
            LatticeAuth(hosts=[])

    @pytest.mark.parametrize(
        ("pattern", "host", "in_scope"),
        [
            ("a*b.example", "ab.example", True),
            ("a*b.example", "a-1.x_y.b.example", True),
            ("a*b.example", "b.example", False),
            ("a*a.example", "a.example", False),
            ("*a*b*.example", "xaxbx.example", True),
            ("*a*b*.example", "xbxax.example", False),
            ("*ab*ab.example", "ab.example", False),
            ("*ab*ab.example", "abab.example", True),
            ("*.example", "a,b.example", False),
            ("*.example", "a b.example", False),
            ("*.example", "a@b.example", False),
            ("*.example", "\N{KELVIN SIGN}.example", False),
            ("*", "[::1]:8080", True),
            ("*", "[fe80::1%25eth0]", True),
            ("[fd00:*]", "[FD00::1]:8080", True),
            ("a.example:80*", "a.example:8080", True),
            ("a.example:80*", "a.example:9080", False),
            ("a.example:*", "a.example:1", True),
        ],
    )
    def test_stars(self, pattern, host, in_scope):
        assert (host in HostScope([pattern])) is in_scope

    def test_an_answer_is_remembered_for_host_and_url(self):
        scope = HostScope(["*.example.com"])
        urls = {"a.example.com": True, "stranger.example": False, "127.0.0.1": True}
        for _ in range(2):
            for url, in_scope in urls.items():
                assert scope.covers("a.example.com", url) is in_scope
        assert not scope.covers("stranger.example", "a.example.com")

    def test_many_stars_take_linear_time(self):
        scope = HostScope(["*a*a*a*b"])

        def seconds(length: int) -> float:
            host = "a" * length
            return min(timeit.repeat(lambda: scope._decide(host, host), number=50, repeat=7))

        # Four times as long: 4 times where it is linear, 64 times with each star tried everywhere.
        assert seconds(400) / seconds(100) < 25

    def test_match_hosts_is_one_of_two(self):
        with pytest.raises(ConfigurationError, match="match_hosts must be 'both' or 'header'"):
            LatticeAuth(hosts=["a.example"], match_hosts="url")

    @pytest.mark.parametrize("host", ["orders.example.com.", "orders.example.com.:8443"])
    def test_a_final_dot_makes_no_other_host(self, host):
        assert host in HostScope(["orders.example.com"])

    @pytest.mark.parametrize(
        "hosts",
        [
            "orders.example.com",
            ["https://a.example"],
            [""],
            [None],
            ["a b.example"],
            ["a.example\n"],
            ["::1"],
            ["a.example:443"],
            ["\N{SNOWMAN}" * 90],
        ],
    )
    def test_what_is_no_pattern(self, hosts):
        with pytest.raises(ConfigurationError, match="hosts"):
            LatticeAuth(hosts=hosts)

    @pytest.mark.parametrize(
        "name",
        [
            "straße",
            "STRAẞE",
            "λόγος",
            "\N{MATHEMATICAL BOLD SMALL FINAL SIGMA}",
            "a\u200db",
            "a\u200cb",
        ],
    )
    def test_letters_that_idna_2003_maps_to_other_names_are_refused(self, name):
        """The HTTP libraries follow IDNA 2008: to them strasse.example is another host."""
        with pytest.raises(ConfigurationError, match="its 'xn--' form"):
            HostScope([f"*.{name}.example"])
        assert httpx.URL("https://straße.example").host != httpx.URL("https://strasse.example").host
        sent = httpx.URL("https://straße.example").netloc.decode()
        assert sent in HostScope([sent])

    def test_letters_whose_lower_case_is_ascii_are_no_hosts(self):
        assert "\N{KELVIN SIGN}.example" not in HostScope(["k.example", "*.example", "*"])

    def test_what_is_remembered_is_bounded(self):
        auth = LatticeAuth(region="eu-west-1", credentials=canary.credentials(), hosts=["*"])
        for i in range(3000):
            auth(httpx.Request("GET", f"https://host{i}.example/"))
        assert len(request_signer(auth)._router.hosts._decisions) <= 1024


class TestLinks:
    def test_not_for_other_hosts(self):
        auth = LatticeAuth(
            region="eu-west-1", credentials=canary.credentials(), hosts=["orders.example.com"]
        )
        url, headers = auth.presign_url("GET", "https://ORDERS.example.com:443?a=1#fragment")
        assert url.startswith("https://ORDERS.example.com/?a=1&X-Amz-")
        assert headers == {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
        with pytest.raises(ConfigurationError, match=r"evil\.example.*orders\.example\.com"):
            auth.presign_url("GET", "https://evil.example/")

    @pytest.mark.parametrize(
        "url",
        ["/orders", "orders.example.com/", "ftp://a.example/", "https://", "https://a\\b.example/"],
    )
    def test_of_absolute_urls_alone(self, url):
        with pytest.raises(ConfigurationError, match="absolute"):
            LatticeAuth(region="eu-west-1", credentials=canary.credentials()).presign_url(
                "GET", url
            )

    @pytest.mark.parametrize("host", ["[::1", "a b", "a:b", "a:80:80"])
    def test_of_hosts_alone(self, host):
        with pytest.raises(SigningError, match="Host"):
            LatticeAuth(region="eu-west-1", credentials=canary.credentials()).presign_url(
                "GET", f"https://{host}/"
            )


class TestPayload:
    URL = "https://abc.execute-api.eu-west-1.amazonaws.com/prod/orders"

    @pytest.fixture
    def auth(self):
        return SigV4Auth(
            "execute-api",
            credentials=canary.credentials(),
            # So that the hash can be seen.
            signed_headers=["x-amz-content-sha256"],
        )

    @pytest.mark.parametrize("body", [None, b"", b"abc", "bücher", io.BytesIO(b"file")])
    def test_requests(self, auth, body):
        request = signed(auth, self.URL, data=body)
        raw = request.body.read() if hasattr(request.body, "read") else request.body or b""
        raw = raw.encode() if isinstance(raw, str) else raw
        assert request.headers["x-amz-content-sha256"] == hashlib.sha256(raw).hexdigest()
        assert scope_of(request)[1:3] == ("eu-west-1", "execute-api")

    def test_a_file_is_hashed_from_where_it_stands_and_put_back(self, auth):
        file = io.BytesIO(b"skipped" + b"x" * 3_000_000)
        file.seek(7)
        request = signed(auth, self.URL, data=file)
        expected = hashlib.sha256(b"x" * 3_000_000).hexdigest()
        assert request.headers["x-amz-content-sha256"] == expected
        assert file.tell() == 7

    @pytest.mark.parametrize("body", [None, b"abc", "bücher", io.BytesIO(b"file")])
    def test_httpx(self, auth, body):
        request = auth(httpx.Request("POST", self.URL, content=body))
        assert request.headers["x-amz-content-sha256"] == hashlib.sha256(request.read()).hexdigest()

    @pytest.mark.parametrize("library", ["httpx", "httpx on trio", "httpx2", "aiohttp"])
    @pytest.mark.parametrize(("size", "in_a_thread"), [(1 << 18, False), ((1 << 18) + 1, True)])
    def test_large_bodies_are_hashed_off_the_event_loop(
        self, auth, library, size, in_a_thread, monkeypatch
    ):
        hashed_in = []

        class Noting:
            """A hash that notes where it takes bytes in."""

            def __init__(self, *given):
                self._hash = hashlib.sha256()
                for data in given:
                    self.update(data)

            def update(self, data):
                hashed_in.append(threading.current_thread())
                self._hash.update(data)

            def hexdigest(self):
                return self._hash.hexdigest()

        monkeypatch.setattr("lattice_client._wire.body.sha256", Noting)

        async def handler(request):
            return _Response()

        async def call() -> None:
            body = b"x" * size
            if library == "aiohttp":
                loop = asyncio.get_running_loop()
                url = aiohttp.client.URL(self.URL)
                await auth(aiohttp.ClientRequest("POST", url, data=body, loop=loop), handler)
                return
            module, ours = HTTPX2 if library == "httpx2" else HTTPX
            signing = ours.SigV4Auth("execute-api", credentials=canary.credentials())
            transport = module.MockTransport(lambda _: module.Response(200))
            async with module.AsyncClient(auth=signing, transport=transport) as client:
                assert (await client.post(self.URL, content=body)).status_code == 200

        anyio.run(call, backend="trio" if "trio" in library else "asyncio")
        assert hashed_in
        for thread in hashed_in:
            assert (thread is not threading.current_thread()) == in_a_thread

    def test_outside_its_middleware_no_body_of_aiohttp_is_hashed(self, auth):
        async def call() -> None:
            loop = asyncio.get_running_loop()
            url = aiohttp.client.URL(self.URL)
            with pytest.raises(UnsignablePayloadError, match="middlewares="):
                auth(aiohttp.ClientRequest("POST", url, data=b"abc", loop=loop))

        asyncio.run(call())

    def test_a_generator_names_the_choices(self, auth):
        def generator():
            yield b"once"

        with pytest.raises(UnsignablePayloadError, match="memoryview"):
            payload_hash(memoryview(b"abcdef")[::2])
        closed = io.BytesIO(b"abc")
        closed.close()
        with pytest.raises(UnsignablePayloadError, match="closed"):
            payload_hash(closed)
        with pytest.raises(UnsignablePayloadError, match="payload='unsigned'"):
            signed(auth, self.URL, data=generator())
        with pytest.raises(UnsignablePayloadError, match="payload='unsigned'"):
            auth(httpx.Request("POST", self.URL, content=generator()))

    def test_unsigned_takes_anything(self):
        auth = SigV4Auth("execute-api", credentials=canary.credentials(), payload="unsigned")
        request = signed(auth, self.URL, data=iter([b"once"]))
        assert request.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"

    def test_lattice_refuses_signed_payloads(self):
        with pytest.raises(ConfigurationError, match="LatticeAuth"):
            SigV4Auth("vpc-lattice-svcs")
        with pytest.raises(ConfigurationError, match="payload"):
            SigV4Auth("execute-api", payload="maybe")


class TestMovingAuthorization:
    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("", "the name of a header"),
            ("Bearer abc", "the name of a header"),
            ("X-Tøken", "the name of a header"),
            ("X-Token\r\n", "the name of a header"),
            (b"X-Token", "the name of a header"),
            (True, "the name of a header"),
            ("authorization", "'authorization': it holds the signature"),
            ("Host", "'host': it names the service"),
            ("X-Amz-Date", "'x-amz-date': the signature sets it"),
            ("x-amz-security-token", "the signature sets it"),
            ("Proxy-Authorization", "each hop has its own"),
            ("X-Forwarded-For", "VPC Lattice writes it"),
            ("x-amzn-lattice-identity", "VPC Lattice writes it"),
            ("Content-Length", "it describes the body"),
            ("Cookie", "it holds the cookies"),
        ],
    )
    @pytest.mark.parametrize("kind", [LatticeAuth, lambda **given: SigV4Auth("es", **given)])
    def test_to_what_is_no_place_for_it_is_refused(self, kind, name, hint):
        with pytest.raises(ConfigurationError, match=f"move_authorization_to.*{hint}") as caught:
            kind(move_authorization_to=name)
        assert "abc" not in str(caught.value)

    def test_is_not_needed_beside_a_signature_in_the_query(self):
        with pytest.raises(ConfigurationError, match="leaves Authorization as it is"):
            LatticeAuth(placement="query", move_authorization_to="X-Token")

    @pytest.mark.parametrize(
        "auth",
        [
            LatticeAuth(move_authorization_to="X-Token"),
            SigV4Auth("es", move_authorization_to="X-Token"),
            lattice_client.httpx.LatticeAuth(move_authorization_to="X-Token"),
            lattice_client.httpx2.SigV4Auth("es", move_authorization_to="X-Token"),
        ],
    )
    def test_is_shown_and_pickled(self, auth):
        assert repr(auth).endswith(", hosts=None, move_authorization_to='X-Token')")
        assert repr(pickle.loads(pickle.dumps(auth))) == repr(auth)

    def test_bytes_stay_as_they_are(self):
        auth = LatticeAuth(
            region="us-west-2",
            credentials=canary.credentials(),
            move_authorization_to="X-Amz-Token",
        )
        request = httpx.Request(
            "GET", "https://a.example/", headers=[(b"authorization", b"B \xe9")]
        )
        assert dict(auth(request).headers.raw)[b"X-Amz-Token"] == b"B \xe9"
        sent = signed(auth, "https://a.example/", headers={"Authorization": b"B \xe9"})
        assert sent.headers["x-amz-token"] == b"B \xe9"

    def test_of_several_all_are_kept(self):
        auth = LatticeAuth(
            region="us-west-2", credentials=canary.credentials(), move_authorization_to="X-Token"
        )
        pairs = [(b"authorization", b"B a"), (b"AUTHORIZATION", b"B \xe9"), (b"x-token", b"c")]
        request = auth(httpx.Request("GET", "https://a.example/", headers=pairs))
        assert [value for name, value in request.headers.raw if name == b"X-Token"] == [
            b"B a, B \xe9"
        ]
        assert "c" not in request.headers.values()


class TestObject:
    def test_pickles_and_copies_without_what_it_learned(self):
        auth = LatticeAuth(
            region="eu-west-1", credentials=canary.credentials(), hosts=["*.example.com"]
        )
        signed(auth, "https://a.example.com/")
        for other in (pickle.loads(pickle.dumps(auth)), copy.deepcopy(auth), copy.copy(auth)):
            assert repr(other) == repr(auth)
            assert "Authorization" in signed(other, "https://a.example.com/").headers
            assert "Authorization" not in signed(other, "https://a.example/").headers

    def test_its_repr_says_what_it_is_for(self):
        auth = SigV4Auth("es", region="eu-west-1", credentials=canary.credentials())
        assert repr(auth) == "SigV4Auth('es', region='eu-west-1', hosts=None)"

    @pytest.mark.parametrize(
        "arguments",
        [
            {"path_encoding": "triple"},
            {"region": "eu west"},
            {"signed_headers": ["user-agent"]},
            {"signed_headers": "content-type"},
            {"credentials": "AKID:secret"},
            {"expires": 1.5},
            {"expires": True},
            {"expires": 604_801},
            {"region_set": "*"},
            {"algorithm": "sigv4b"},
            {"placement": "cookie"},
            {"names": {}},
        ],
    )
    def test_wrong_arguments_are_found_at_once(self, arguments):
        with pytest.raises(ConfigurationError):
            LatticeAuth(**arguments)

    def test_signers_are_bounded(self):
        auth = LatticeAuth(credentials=canary.credentials())
        for i in range(600):
            region = f"eu-west-{i}"
            request = signed(auth, f"https://a.b.vpc-lattice-svcs.{region}.on.aws/")
            assert scope_of(request)[1] == region
        assert len(request_signer(auth)._signers._of_host) <= 256
        assert len(request_signer(auth)._signers._of_region) <= 256

    def test_hosts_are_bounded(self):
        auth = LatticeAuth(credentials=canary.credentials())
        signers = request_signer(auth)._signers
        for i in range(3000):
            request = signed(auth, f"https://a{i}.b.vpc-lattice-svcs.eu-west-1.on.aws/")
            assert scope_of(request)[1] == "eu-west-1"
            assert len(signers._of_host) <= 256
        assert len(next(iter(signers._of_region.values()))._hosts) <= 32

    def test_a_new_host_takes_no_second_look_at_the_credentials(self):
        """Where another host of its region has been called."""
        provider = Counted()
        auth = LatticeAuth(credentials=provider)
        signed(auth, "https://a.b.vpc-lattice-svcs.eu-west-1.on.aws/")
        before = provider.peeked
        for i in range(600):
            signed(auth, f"https://a{i}.b.vpc-lattice-svcs.eu-west-1.on.aws/")
        assert provider.peeked == before + 600

    def test_a_new_host_is_not_signed_with_older_credentials(self):
        provider = Counted()
        auth = LatticeAuth(credentials=provider)
        signed(auth, "https://a.b.vpc-lattice-svcs.eu-west-1.on.aws/")
        provider.credentials = Credentials("AKIDOTHER", "other")
        for host in ("a", "b"):
            request = signed(auth, f"https://{host}.b.vpc-lattice-svcs.eu-west-1.on.aws/")
            assert "Credential=AKIDOTHER/" in request.headers["Authorization"]

    def test_hosts_of_one_region_share_a_signer(self):
        auth = LatticeAuth(credentials=canary.credentials())
        for i in range(3):
            signed(auth, f"https://a{i}.b.vpc-lattice-svcs.eu-west-1.on.aws/")
        assert len(set(request_signer(auth)._signers._of_host.values())) == 1
        assert len(request_signer(auth)._signers._of_host) == 3

    def test_the_environment_alone_has_no_region(self):
        auth = LatticeAuth(credentials=EnvironmentCredentials({}))
        with pytest.raises(RegionError):
            signed(auth, "https://orders.example.com/")
