"""Those who sign, behind one small interface: ours, and the floor that nobody gets under.

All sign the same request: POST, a 900-character token, an empty body that is declared
UNSIGNED-PAYLOAD where the contender can. What a contender needs as its own form of a request is
made before the clock starts, in :meth:`Contender.prepare`; only the signing is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha256
from typing import Any, ClassVar

from lattice_client import Credentials
from lattice_client.signing import SigV4Signer

__all__ = [
    "FLOOR",
    "HOST",
    "METHOD",
    "OURS",
    "REGION",
    "SERVICE",
    "UNSIGNED",
    "Contender",
    "Floor",
    "Headers",
    "Ours",
    "available",
    "credentials",
    "host",
    "lattice_accepts",
]

METHOD = "POST"
HOST = "orders-0a1b2c3d4e5f6a7b8.7d67968.vpc-lattice-svcs.eu-west-1.on.aws"
REGION = "eu-west-1"
SERVICE = "vpc-lattice-svcs"
UNSIGNED = "UNSIGNED-PAYLOAD"

OURS = "lattice_client"
FLOOR = "CPython floor"


def host(number: int) -> str:
    """The managed name of a service; 0 is that of the others' requests."""
    return f"orders-{number}{HOST.removeprefix('orders')}" if number else HOST


def credentials(number: int = 0, token_length: int = 900) -> Credentials:
    """Credentials as STS gives them; each number another set."""
    token = (f"IQoJb3JpZ2luX2VjE{number:08d}" + "aB3/+xYz9" * token_length)[:token_length]
    return Credentials(f"ASIABENCH{number:011d}", f"wJalrXUtnFEMI/K7MDENG{number:019d}", token)


# Those of a request that are to be signed.
Headers = list[tuple[str, str]]


class Contender:
    """One who signs; made for one set of credentials."""

    name: ClassVar[str]
    # Whether the time can be given; all others ask the clock at each signature.
    takes_time: ClassVar[bool] = False
    # Whether it takes part where hosts and headers differ: see prepare_whole().
    takes_whole: ClassVar[bool] = False

    # Signs what prepare() gave. This is measured.
    sign: Callable[[Any], Any]

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials

    def prepare(self, target: str) -> Any:
        """The contender's own form of the request; not measured."""
        return target

    def prepare_whole(self, target: str, host: str, headers: Headers) -> Any:
        """The same for another host, with headers to sign, for :attr:`sign_whole`."""
        raise NotImplementedError

    @property
    def sign_whole(self) -> Callable[[Any], Any]:
        """Signs what :meth:`prepare_whole` gave. This is measured."""
        return self.sign

    def sign_at(self, prepared: Any, now: float) -> Any:
        """Sign it at a time, in seconds since the epoch. This is measured."""
        raise NotImplementedError

    def signed_headers(self, prepared: Any) -> dict[str, str]:
        """The headers that a signature consists of; not measured."""
        signed: dict[str, str] = self.sign(prepared)
        return signed


class Ours(Contender):
    name = OURS
    takes_time = True
    takes_whole = True

    def __init__(self, credentials: Credentials) -> None:
        super().__init__(credentials)
        signer = SigV4Signer(credentials, REGION)
        self._sign = partial(signer.sign, METHOD, HOST)
        self._sign_any = signer.sign
        self.sign = self._sign

    def prepare_whole(self, target: str, host: str, headers: Headers) -> Any:
        return METHOD, host, target, headers

    @property
    def sign_whole(self) -> Callable[[Any], Any]:
        sign = self._sign_any
        return lambda prepared: sign(*prepared)

    def sign_at(self, prepared: str, now: float) -> dict[str, str]:
        return self._sign(prepared, now=now)

    def signed_headers(self, prepared: Any) -> dict[str, str]:
        sign = self.sign if isinstance(prepared, str) else self.sign_whole
        return sign(prepared)


class Floor(Contender):
    """What hashing alone costs: the canonical request once, and HMAC from two keyed states."""

    name = FLOOR
    takes_time = True
    takes_whole = True

    def __init__(self, credentials: Credentials) -> None:
        super().__init__(credentials)
        self._signer = SigV4Signer(credentials, REGION)
        key = sha256(credentials.secret_key.encode()).digest().ljust(64, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in key))
        self._inner.update(self._signer.string_to_sign(METHOD, HOST, "/")[:-64].encode())
        self._outer = sha256(bytes(byte ^ 0x5C for byte in key))

    def prepare(self, target: str) -> bytes:
        return self.prepare_whole(target, HOST, [])

    def prepare_whole(self, target: str, host: str, headers: Headers) -> bytes:
        return self._signer.canonical_request(METHOD, host, target, headers).encode()

    def sign(self, prepared: bytes) -> str:
        inner = self._inner.copy()
        inner.update(sha256(prepared).hexdigest().encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()

    def sign_at(self, prepared: bytes, now: float) -> str:  # noqa: ARG002 the same at any time
        return self.sign(prepared)

    def signed_headers(self, prepared: bytes) -> dict[str, str]:  # noqa: ARG002 it has none
        return {}


def available(
    candidates: Iterable[type[Contender]],
) -> tuple[dict[str, type[Contender]], dict[str, str]]:
    """Those who sign here, by name; and why the others do not."""
    there: dict[str, type[Contender]] = {}
    missing: dict[str, str] = {}
    for candidate in candidates:
        try:
            contender = candidate(credentials())
            contender.sign(contender.prepare("/orders/7?page=2"))
        except Exception as error:  # noqa: BLE001 whatever ails a peer is told, and the rest goes on
            missing[candidate.name] = f"{type(error).__name__}: {error}".splitlines()[0]
        else:
            there[candidate.name] = candidate
    return there, missing


def lattice_accepts(contender: Contender, target: str, own: Headers | None = None) -> bool:
    """Whether the local Lattice, which shares no code with any of them, takes the signature."""
    from lattice_client.testing.refusals import RefusedError
    from lattice_client.testing.verification.signature import WireRequest
    from lattice_client.testing.verification.verifier import Verifier

    own = own or []
    prepared = contender.prepare_whole(target, HOST, own) if own else contender.prepare(target)
    headers = contender.signed_headers(prepared)
    if not headers:
        return False
    sent = {"host": HOST, **dict(own), **{name.lower(): value for name, value in headers.items()}}
    path, _, query = target.partition("?")
    request = WireRequest(
        METHOD,
        path.encode(),
        query.encode(),
        [(name.encode(), value.encode()) for name, value in sent.items()],
    )
    try:
        Verifier(lambda _: contender.credentials, region=REGION).verify(request)
    except RefusedError:
        return False
    return True
