"""The service ``stock``: GET /stock/ITEM says how many there are."""

from answers import answer
from lattice_client.identity import SCOPE_KEY, IdentityMiddleware

STOCK = {"espresso": 7, "ristretto": 0}


async def stock(scope, _receive, send):
    item = scope["path"].removeprefix("/stock/")
    if item not in STOCK:
        await answer(send, 404, {"error": f"no {item}"})
    else:
        # Lattice has verified the caller, and its auth policy has allowed the call.
        caller = scope[SCOPE_KEY]
        await answer(send, 200, {"item": item, "count": STOCK[item], "hello": caller.role})


app = IdentityMiddleware(stock)
