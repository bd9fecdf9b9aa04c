"""Loading and serving the local Lattice that a file describes, for ``lattice-client local``."""

from __future__ import annotations

import contextlib
import errno
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lattice_client.errors import ConfigurationError
from lattice_client.testing.display import without_password

if TYPE_CHECKING:
    from lattice_client.testing.lattice import LocalLattice
    from lattice_client.testing.model.auth_layer import AuthLayer
    from lattice_client.testing.server.running import RunningLattice

__all__ = ["interruptible", "load_lattice", "parse_pair", "serve_networks"]

_LAST_PORT: Final = 65535


def parse_pair(text: str) -> tuple[str, str]:
    """The two sides of ``NAME=VALUE``.

    :raises ValueError: if either is missing.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"{without_password(text)!r} is not of the form NAME=VALUE")
    return name, value


def load_lattice(
    file: str | None,
    *,
    callers: Sequence[str],
    account: str | None,
    region: str | None,
    note: Callable[[str], object],
    **options: Any,
) -> LocalLattice:
    """The local Lattice that a file describes, with at least one caller.

    :param file: None for what the pytest fixtures have.
    :param callers: names of callers to add.
    :param note: called with each warning about the file, and each finding in its auth policies.
    :param options: further arguments of ``load``; ``targets`` and ``parameters`` need a file.
    :raises ConfigurationError: if the file or an argument is invalid.
    """
    from lattice_client.testing.templates.default import default_lattice
    from lattice_client.testing.templates.load import TemplateWarning, load

    # Applications in the file are imported from the working directory, as with other servers.
    sys.path.insert(0, str(Path.cwd()))
    settings = {"account": account, "region": region}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TemplateWarning)
        options |= {name: value for name, value in settings.items() if value}
        if file is None:
            _refuse_without_file(options.pop("targets"), options.pop("parameters"))
            lattice = default_lattice(**options)
        else:
            lattice = load(file, **options)
    for text in [*(str(each.message) for each in caught), *_policy_findings(lattice)]:
        note(text)
    for name in callers or ([] if lattice.callers else ["local-caller"]):
        if name not in lattice.callers:
            lattice.add_caller(name)
    return lattice


def _refuse_without_file(targets: Mapping[str, str], parameters: Mapping[str, str]) -> None:
    for option, given in (("--target", targets), ("--parameter", parameters)):
        if given:
            raise ConfigurationError(f"{option} is about a file: give the FILE, too")


def _policy_findings(lattice: LocalLattice) -> Iterator[str]:
    """What is legal in the auth policies and does something else than it seems to."""
    from lattice_client.testing.policies import lint

    layers: dict[str, AuthLayer] = {
        f"service network {name}": network.auth for name, network in lattice.networks.items()
    }
    layers |= {f"service {service.name}": service.auth for service in lattice.services}
    for owner, layer in layers.items():
        if layer.document is not None:
            yield from (f"the policy of {owner}, {finding}" for finding in lint(layer.document))


@contextlib.contextmanager
def serve_networks(
    lattice: LocalLattice, *, host: str, port: int, tls: bool, note: Callable[[str], object]
) -> Iterator[list[RunningLattice]]:
    """Serve each service network at a port, until the context ends.

    :param port: the first network's; the others' follow; 0 for free ones.
    :param note: called with each warning about addresses and listeners.
    :raises OSError: if an address cannot be listened at; ``filename`` is address and port.
    """
    from lattice_client.testing.server.running import ExposedLatticeWarning, serve

    last = port + len(lattice.networks) - 1
    if port < 0 or last > _LAST_PORT:
        # socket would raise OverflowError, after some of the networks are served.
        why = f"ports are from 1 to {_LAST_PORT}"
        raise OSError(errno.EADDRNOTAVAIL, why, f"{host}:{port if port < 0 else last}")
    scheme = "HTTPS" if tls else "HTTP"
    for service in lattice.services:
        if not any(listener.protocol == scheme for listener in service.listeners):
            note(f"the service {service.name} has no {scheme} listener: nothing reaches it here")
    running = []
    with contextlib.ExitStack() as stack:
        for index, network in enumerate(lattice.networks.values()):
            at = port + index if port else 0
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always", ExposedLatticeWarning)
                    serving = serve(network, host=host, port=at, tls=tls)
                    running.append(stack.enter_context(serving))
            except OSError as error:
                raise OSError(error.errno, error.strerror, f"{host}:{at}") from None
            if index == 0:  # the others repeat it
                for each in caught:
                    note(str(each.message))
        yield running


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGINT, on SIGTERM, and on SIGHUP unless it is ignored (nohup).

    A shell's background job ignores SIGINT; here it does not.
    """
    numbers = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        numbers.append(hangup)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
