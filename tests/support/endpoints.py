"""Credential endpoints of botocore's chain on loopback.

EC2's instance metadata, a container's (ECS, EKS Pod Identity), the SSO portal, STS.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support import canary

ROLE = "orders-instance"


class Endpoint:
    """A server thread. Tests read ``calls`` (requests for credentials) and set the attributes."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        # The lifetime of the next credentials, from the endpoint's clock.
        self.lifetime = 6 * 3600.0
        self.clock = time.time
        # Status and text to answer instead of credentials.
        self.instead: tuple[int, str] | None = None
        self.without: set[str] = set()
        # The generation that the last call got.
        self.number_of: Callable[[list[Any]], int] = len
        # Clear it to block requests.
        self.open = threading.Event()
        self.open.set()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                self.answer(*endpoint.get(self))

            def do_PUT(self) -> None:
                self.answer(*endpoint.put(self))

            def do_POST(self) -> None:
                self.answer(*endpoint.post(self))

            def answer(self, status: int, text: str) -> None:
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[Any]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self.open.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def get(self, _: BaseHTTPRequestHandler) -> tuple[int, str]:
        return 404, ""

    put = post = get

    def issue(self, call: object) -> dict[str, Any]:
        """The next generation, under the names of EC2's metadata."""
        self.calls.append(call)
        assert self.open.wait(30)
        number = self.number_of(self.calls)
        issued = {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": f"ASIAGENERATION{number}",
            "SecretAccessKey": f"{canary.SECRET}{number}",
            "Token": f"{canary.TOKEN}{number}",
            "Expiration": self.expiration().strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return {name: value for name, value in issued.items() if name not in self.without}

    def expiration(self) -> datetime:
        return datetime.fromtimestamp(self.clock() + self.lifetime, UTC)


class InstanceMetadata(Endpoint):
    """IMDSv2 ("Use the Instance Metadata Service", EC2 User Guide): a session token first."""

    TOKEN = "metadata-session"
    FOLDER = "/latest/meta-data/iam/security-credentials/"

    def put(self, request: BaseHTTPRequestHandler) -> tuple[int, str]:
        wanted = request.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if request.path != "/latest/api/token" or not wanted.isdigit():
            return 400, ""
        return 200, self.TOKEN

    def get(self, request: BaseHTTPRequestHandler) -> tuple[int, str]:
        if request.headers.get("x-aws-ec2-metadata-token") != self.TOKEN:
            return 401, ""
        if request.path == self.FOLDER:
            return 200, ROLE
        if request.path != self.FOLDER + ROLE:
            return 404, ""
        issued = self.issue(request.path)
        return self.instead or (200, json.dumps(issued))


class Container(Endpoint):
    """A container's endpoint, which requires the current content of the token file."""

    def __init__(self) -> None:
        super().__init__()
        self.authorization = "canary/pod-1"

    def get(self, request: BaseHTTPRequestHandler) -> tuple[int, str]:
        if request.headers.get("Authorization") != self.authorization:
            return 401, json.dumps({"got": request.headers.get("Authorization")})
        issued = self.issue(request.path)
        return self.instead or (200, json.dumps(issued))


class SsoPortal(Endpoint):
    """GetRoleCredentials ("IAM Identity Center Portal API Reference")."""

    def get(self, request: BaseHTTPRequestHandler) -> tuple[int, str]:
        path, query = urlsplit(request.path)[2:4]
        if path != "/federation/credentials":
            return 404, "{}"
        if request.headers.get("x-amz-sso_bearer_token") != "canary/sso":
            error = "UnauthorizedException"
            return 401, json.dumps({"__type": error, "message": "Session token not found"})
        issued = self.issue(parse_qs(query))
        credentials = {
            "accessKeyId": issued["AccessKeyId"],
            "secretAccessKey": issued["SecretAccessKey"],
            "sessionToken": issued["Token"],
            "expiration": int(self.expiration().timestamp() * 1000),
        }
        return 200, json.dumps({"roleCredentials": credentials})


class Sts(Endpoint):
    """AssumeRole that records its requests, which moto's does not."""

    def post(self, request: BaseHTTPRequestHandler) -> tuple[int, str]:
        body = request.rfile.read(int(request.headers["Content-Length"])).decode()
        asked = {name: values[0] for name, values in parse_qs(body).items()}
        key = re.search("Credential=([^/]+)/", request.headers["Authorization"])
        asked["signed by"] = key[1] if key else ""
        issued = self.issue(asked)
        if self.instead:
            return self.instead
        # STS has another name for the token.
        issued["SessionToken"] = issued.pop("Token", "")
        parts = "".join(f"<{name}>{value}</{name}>" for name, value in issued.items())
        return 200, (
            '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            f"<AssumeRoleResult><Credentials>{parts}</Credentials></AssumeRoleResult>"
            "</AssumeRoleResponse>"
        )

    @staticmethod
    def error(code: str, message: str) -> str:
        return (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>'
            f"<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            "</ErrorResponse>"
        )


@contextmanager
def moto() -> Iterator[str]:
    """moto's server in a separate process, because it patches botocore in its process."""
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if at := re.search(r"http://127\.0\.0\.1:\d+", line):
                # It continues to log each request.
                threading.Thread(target=process.stderr.read, daemon=True).start()
                yield at[0]
                return
        raise RuntimeError(f"moto's server did not start: {''.join(said)}")
    finally:
        process.terminate()
        process.wait(30)
        if process.stderr is not None:
            process.stderr.close()
