from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from support import endpoints

EndpointT = TypeVar("EndpointT", bound=endpoints.Endpoint)


@pytest.fixture
def aws(monkeypatch, tmp_path) -> Path:
    """A separate home for botocore's chain, with nothing in it: ``config``, ``credentials``."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path


@pytest.fixture
def run_endpoint() -> Iterator[Callable[[EndpointT], EndpointT]]:
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda endpoint: stack.enter_context(endpoint.running())


@pytest.fixture
def instance(aws, monkeypatch, run_endpoint) -> endpoints.InstanceMetadata:
    """An EC2 instance with a role."""
    endpoint = run_endpoint(endpoints.InstanceMetadata())
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint.url)
    return endpoint


@pytest.fixture
def container(aws, monkeypatch, run_endpoint) -> endpoints.Container:
    """A pod or task with a role; its token file is ``aws / "token"``."""
    endpoint = run_endpoint(endpoints.Container())
    (aws / "token").write_text(endpoint.authorization)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{endpoint.url}/v1/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(aws / "token"))
    return endpoint


@pytest.fixture
def sts(aws, monkeypatch, run_endpoint) -> endpoints.Sts:
    """An STS that notes what it was asked."""
    endpoint = run_endpoint(endpoints.Sts())
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", endpoint.url)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    return endpoint


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    pytest.importorskip("moto")
    with endpoints.moto() as url:
        yield url


@pytest.fixture
def moto_sts(aws, monkeypatch, moto_url) -> str:
    """moto's STS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto_url)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    return moto_url
