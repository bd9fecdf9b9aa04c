"""What importing costs, and the first signature: in fresh interpreters, over a bare one."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from tempfile import TemporaryDirectory
from time import perf_counter_ns

from benchmarks.contenders import METHOD, REGION, SERVICE, UNSIGNED, credentials
from benchmarks.rounds import Rounds, measure

__all__ = ["BARE_PYTHON", "BOTOCORE_FIRST", "FIRST", "LATTICE_AUTH", "PACKAGE", "run"]

BARE_PYTHON = "bare Python"
PACKAGE = "import lattice_client"
LATTICE_AUTH = "from lattice_client import LatticeAuth"
FIRST = "a first signature, credentials from the environment"
BOTOCORE_FIRST = "the same with botocore"

# No library's request, for its import is not ours to answer for; requests' has this shape.
_FIRST = f"""
import sys
from lattice_client import LatticeAuth

class Headers(dict):
    def lower_items(self):
        return ((name.lower(), value) for name, value in self.items())

class Request:
    method = {METHOD!r}
    url = "http://orders.example.com/orders/7?page=3"
    path_url = "/orders/7?page=3"
    headers = Headers()
    body = None
    hooks = {{"response": []}}

    def register_hook(self, event, hook):
        self.hooks[event].append(hook)

signed = LatticeAuth(region={REGION!r})(Request())
assert signed.headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")
assert "x-amz-security-token" in signed.headers
assert "botocore" not in sys.modules
"""

_BOTOCORE_FIRST = f"""
import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

request = AWSRequest({METHOD!r}, "http://orders.example.com/orders/7?page=3")
request.headers["X-Amz-Content-SHA256"] = {UNSIGNED!r}
credentials = botocore.session.Session().get_credentials()
SigV4Auth(credentials, {SERVICE!r}, {REGION!r}).add_auth(request)
"""

_CODE = {
    BARE_PYTHON: "pass",
    PACKAGE: "import lattice_client",
    LATTICE_AUTH: "from lattice_client import LatticeAuth",
    FIRST: _FIRST,
    BOTOCORE_FIRST: _BOTOCORE_FIRST,
}


def run(rounds: int) -> Rounds:
    """Seconds of an interpreter's whole life, for each of the above.

    :raises CalledProcessError: where one fails; the first signature does where botocore is loaded.
    """
    ours = credentials()
    kept = {
        name: os.environ[name] for name in os.environ if not name.startswith(("AWS_", "PYTHON"))
    }
    environment = {
        **kept,
        "AWS_ACCESS_KEY_ID": ours.access_key,
        "AWS_SECRET_ACCESS_KEY": ours.secret_key,
        "AWS_SESSION_TOKEN": ours.token or "",
    }

    def interpreter(code: str) -> float:
        start = perf_counter_ns()
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        return (perf_counter_ns() - start) / 1e9

    lives = {name: partial(interpreter, code) for name, code in _CODE.items()}
    # As installed, everything is compiled already; a checkout may not be.
    with TemporaryDirectory() as byte_code:
        environment["PYTHONPYCACHEPREFIX"] = byte_code
        measure(lives, rounds=1)  # compiles
        return measure(lives, rounds)
