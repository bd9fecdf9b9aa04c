"""The service ``orders``: POST /orders/ITEM takes an order, if ``stock`` has the item."""

from answers import answer
from lattice_client import LatticeAuth, RetryPolicy
from lattice_client.httpx import AsyncClient


def orders(stock_url, credentials=None):
    """The application.

    :param stock_url: where ``stock`` is.
    :param credentials: by default those of the task it runs in.
    """
    auth = LatticeAuth(region="us-west-2", credentials=credentials)

    async def app(scope, _receive, send):
        item = scope["path"].removeprefix("/orders/")
        async with AsyncClient(auth=auth, retry=RetryPolicy(base=0.01)) as client:
            response = await client.get(f"{stock_url}/stock/{item}")
        if response.status_code != 200:
            await answer(send, 502, {"error": f"stock said {response.status_code}"})
        elif response.json()["count"] == 0:
            await answer(send, 409, {"error": f"{item} is sold out"})
        else:
            await answer(send, 201, {"ordered": item})

    return app
