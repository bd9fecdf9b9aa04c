"""Makes a program of this process a caller of the local Lattice, without changing the program."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from ssl import get_default_verify_paths
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple

from lattice_client.testing.server.diverting import VARIABLE, Diversion, active, as_text, diverting
from lattice_client.testing.server.fork_server import leave_fork_server

if TYPE_CHECKING:
    from lattice_client.testing.model.callers import Caller

__all__ = ["ActingCaller", "Surroundings", "trusted_bundle"]

#: What would take precedence over the caller's credentials and region, or belongs to others.
_UNSET: Final = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_SESSION_TOKEN",
)
#: What requests reads; and httpx, httpx2, curl and OpenSSL (and so ``ssl``). Each with the variable
#: that is not read where it is set.
AUTHORITIES: Final = {"REQUESTS_CA_BUNDLE": "CURL_CA_BUNDLE", "SSL_CERT_FILE": "SSL_CERT_DIR"}
#: Both spellings are in use; the lower-case one wins where both are set.
NO_PROXY: Final = ("NO_PROXY", "no_proxy")
_STARTUP: Final = str(Path(__file__).with_name("startup"))


class Surroundings(NamedTuple):
    """The environment variables that lead programs to the local Lattice.

    :param values: what variables are set to.
    :param joined: what is put before a variable's value, and the separator.
    """

    values: dict[str, str]
    joined: dict[str, tuple[str, str]]

    @classmethod
    def of(cls, diversions: Sequence[Diversion], region: str) -> Surroundings:
        """The variables for these diversions; the last of several with a name wins."""
        addresses: dict[str, str] = {}
        for each in diversions:
            if each.port is not None:
                host = f"[{each.address}]" if ":" in each.address else each.address
                target = f"{region}@{host}:{each.port}"
                addresses |= {name: f"{name}={target}" for name in sorted(each.names())}
        values = {
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "LATTICE_CLIENT_NAMES": ",".join(addresses.values()),
            VARIABLE: as_text(diversions),
        }
        names = ",".join(addresses)
        joined = {"PYTHONPATH": (_STARTUP, os.pathsep)} | dict.fromkeys(NO_PROXY, (names, ","))
        return cls(values, joined)


def trusted_bundle(path: Path, ca_file: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Write files with the authorities that programs trust already, and the local Lattice's.

    Programs that call the local Lattice may call other servers, too.

    :param path: the files' folder.
    :returns: the variables that name the files. One that names a folder is left out.
    """
    values = {}
    for name, hidden in AUTHORITIES.items():
        if before := environ.get(name):
            authorities = [before]
        elif before := environ.get(hidden):
            authorities = before.split(os.pathsep)
        else:
            authorities = _default_authorities()
        if any(Path(each).is_dir() for each in authorities):
            continue
        trusted = [Path(each).read_bytes() for each in authorities if Path(each).is_file()]
        bundle = path / f"{name.lower()}.pem"
        bundle.write_bytes(b"\n".join([*trusted, Path(ca_file).read_bytes()]))
        values[name] = str(bundle)
    return values


def _default_authorities() -> list[str]:
    """What HTTP libraries trust by default: certifi's authorities, or OpenSSL's, to which companies
    add theirs."""
    found = [get_default_verify_paths().cafile]
    if find_spec("certifi") is not None:
        import certifi

        found.append(certifi.where())
    return list(filter(None, found))


# The contexts that are entered.
_acting: list[ActingCaller] = []


class ActingCaller:
    """A context in which the program of this process is a caller; see ``RunningLattice.as_caller``.

    It is a synchronous and an asynchronous context manager, and can be entered more than once.

    :param region: the region to sign for.
    :param forget: called when this context or one within it begins or has ended: what the process
        knows of the environment and keeps open is of the other side.
    """

    def __init__(
        self, caller: Caller, region: str, diversion: Diversion, forget: Callable[[], object]
    ) -> None:
        self._caller = caller
        self._region = region
        self._diversion = diversion
        self._forget = forget
        self._entered: list[ExitStack] = []

    def __enter__(self) -> Caller:
        with ExitStack() as stack:
            # Called when all is restored.
            stack.callback(self._change_sides)
            stack.enter_context(diverting(self._diversion))
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="lattice-client-")))
            changes = self._changes(folder)
            stack.callback(_restore, {name: os.environ.get(name) for name in changes})
            _restore(changes)
            self._change_sides()
            stack.callback(_acting.remove, self)
            _acting.append(self)
            self._entered.append(stack.pop_all())
        return self._caller

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered.pop().close()

    async def __aenter__(self) -> Caller:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered.pop().close()

    def _change_sides(self) -> None:
        for each in {self, *_acting}:
            each._forget()  # noqa: SLF001 - its own class
        leave_fork_server()

    def _changes(self, folder: Path) -> dict[str, str | None]:
        """The variables to set, and those to unset."""
        held = self._caller.credentials
        values, joined = Surroundings.of(active(), self._region)
        changes: dict[str, str | None] = dict.fromkeys(_UNSET)
        changes |= values
        changes |= {"AWS_ACCESS_KEY_ID": held.access_key, "AWS_SECRET_ACCESS_KEY": held.secret_key}
        if held.token:
            changes["AWS_SESSION_TOKEN"] = held.token
        if held.expires_at is not None:
            changes["AWS_CREDENTIAL_EXPIRATION"] = held.expires_at.isoformat()
        for name, (first, separator) in joined.items():
            before = os.environ.get(name)
            if name in NO_PROXY and not before:
                # Where only one is set, it counts; the other, when set, would hide it.
                before = next(filter(None, map(os.environ.get, NO_PROXY)), None)
            changes[name] = separator.join(filter(None, (first, before)))
        if self._diversion.ca_file is not None:
            changes |= trusted_bundle(folder, self._diversion.ca_file, os.environ)
        return changes


def _restore(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
