"""What the messages say of botocore's exceptions."""

from __future__ import annotations

import pytest

from lattice_client import NoCredentialsError
from lattice_client.credentials.botocore_errors import botocore_errors

exceptions = pytest.importorskip("botocore.exceptions")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://sts.eu-west-1.amazonaws.com/", "sts.eu-west-1.amazonaws.com:443"),
        ("http://169.254.170.2/v2", "169.254.170.2:80"),
        ("https://127.0.0.1:8443", "127.0.0.1:8443"),
        ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
        ("http://[fd00:ec2::23]/", "[fd00:ec2::23]:80"),
        ("https://user:canary@vault.example.com/?token=canary", "vault.example.com:443"),
    ],
)
def test_an_address_has_its_port_and_nothing_else_of_its_url(url, place):
    unreachable = exceptions.ConnectionClosedError(endpoint_url=url)
    with pytest.raises(NoCredentialsError) as caught, botocore_errors("the vault"):
        raise unreachable
    assert str(caught.value) == (
        f"the vault: ConnectionClosedError: no connection to {place} (ConnectionClosedError)"
    )


def test_the_address_may_be_in_the_cause():
    cause = exceptions.EndpointConnectionError(endpoint_url="https://sts.example.com")
    failed = exceptions.CredentialRetrievalError(provider="the vault", error_msg="canary")
    with pytest.raises(NoCredentialsError) as caught, botocore_errors("the vault"):
        raise failed from cause
    assert str(caught.value).endswith(
        "CredentialRetrievalError: no connection to sts.example.com:443 (EndpointConnectionError)"
    )
