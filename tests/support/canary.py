"""Secrets that must not appear anywhere, and a sweep that looks for them."""

from __future__ import annotations

import gc
import logging
import re

from lattice_client import Credentials
from lattice_client.errors import LatticeClientError

# In the form of a real secret, with a word that no other text contains.
SECRET = "canary/Secret+3iWmLRyfYEXAMPLEKEY"
TOKEN = "canary//Token" + "IQoJb3JpZ2luX2VjE" * 45 + "=="

_LEAK = re.compile(r"canary[/\\]|Signature=[0-9a-f]{16}")


def credentials(access_key: str = "ASIACANARYEXAMPLE") -> Credentials:
    """Credentials whose secret and token the sweep knows."""
    return Credentials(access_key, SECRET, TOKEN)


def leaks(text: str) -> bool:
    """Whether a text contains one of the secrets, or a signature."""
    return _LEAK.search(text) is not None


class Sweep(logging.Handler):
    """Collects the package's texts of a whole run: log records, errors, reprs, output."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.leaks: list[str] = []
        self.looked_at = 0
        self._formatter = logging.Formatter("%(name)s %(message)s")

    def start(self) -> None:
        root = logging.getLogger("lattice_client")
        root.addHandler(self)
        root.setLevel(logging.DEBUG)
        look = self.look

        def recorded(error: LatticeClientError, *args: object, **kwargs: object) -> None:
            super(LatticeClientError, error).__init__(*args, **kwargs)
            look("an error", f"{error} {error!r} {error.args}")

        LatticeClientError.__init__ = recorded

    def emit(self, record: logging.LogRecord) -> None:
        self.look("a log record", self._formatter.format(record))

    def look(self, where: str, text: str) -> None:
        self.looked_at += 1
        if _LEAK.search(text):
            self.leaks.append(f"{where}: {_LEAK.sub('<the leak>', text)[:300]}")

    def check_level(self) -> None:
        """A level that a test has left behind hides records, so it counts as a leak."""
        if logging.getLogger("lattice_client").level != logging.DEBUG:
            self.leaks.append("perhaps: a test has left the log at another level")

    def look_at_reprs(self) -> None:
        """The reprs of all live objects of this package's classes."""
        for thing in gc.get_objects():
            if str(type(thing).__module__).startswith("lattice_client"):
                self.look(f"the repr of a {type(thing).__name__}", _said_by(thing))


def _said_by(thing: object) -> str:
    # Live objects may contain a test's object that raises on any access, or lack attributes because
    # __init__ failed. The error is the text then.
    try:
        return repr(thing)
    except Exception as error:  # noqa: BLE001
        return f"{error!r} {error}"
