"""A FastAPI service that calls the service `orders` through Lattice.

pip install 'vpc-lattice-client[httpx]' fastapi uvicorn
ORDERS_URL=https://orders.internal.example.com uvicorn fastapi_service:app
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, HTTPException, Request

from lattice_client import LatticeAuth, RetryPolicy, explain
from lattice_client.httpx import AsyncClient

log = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """One client for the life of the service; credentials are fetched before the first request."""
    auth = LatticeAuth()
    await auth.prefetch()
    async with AsyncClient(
        auth=auth,
        base_url=os.environ["ORDERS_URL"],
        timeout=2,
        retry=RetryPolicy(deadline=5),
    ) as orders:
        yield {"orders": orders}


app = FastAPI(lifespan=lifespan)


def orders_client(request: Request) -> httpx.AsyncClient:
    client: httpx.AsyncClient = request.state.orders
    return client


@app.get("/customers/{customer}/orders")
async def orders_of(
    customer: str, orders: Annotated[httpx.AsyncClient, Depends(orders_client)]
) -> Any:
    try:
        response = await orders.get("/orders", params={"customer": customer})
    except httpx.TransportError as error:
        raise HTTPException(503, "orders cannot be reached") from error
    if denial := explain(response):
        # This service's fault, not the customer's: log the reason, do not show it.
        log.error("orders refuses this service: %s", denial)
        raise HTTPException(502, "orders refuses this service")
    if response.is_error:
        raise HTTPException(502, f"orders answered {response.status_code}")
    return response.json()
