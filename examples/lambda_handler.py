"""A Lambda function that reads an order through Lattice.

Handler: `lambda_handler.handler`. Package it with `vpc-lattice-client[requests]`; put the function
into a VPC that is associated with the service network, and set ORDERS_URL.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

from lattice_client import LatticeAuth, raise_for_denial
from lattice_client.requests import Session

# Made once for each execution environment, so that later invocations find open connections.
session = Session(auth=LatticeAuth())
ORDERS_URL = os.environ["ORDERS_URL"]


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the order ``event["order"]``, with the status from the service `orders`."""
    order = quote(event["order"], safe="")
    response = session.get(f"{ORDERS_URL}/orders/{order}", timeout=(1, 3))
    raise_for_denial(response)  # puts the reason into the function's log
    return {"statusCode": response.status_code, "body": response.text}
