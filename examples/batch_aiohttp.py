"""A batch job: many calls through Lattice with aiohttp, 200 at a time.

pip install 'vpc-lattice-client[aiohttp]'
ORDERS_URL=https://orders.internal.example.com python batch_aiohttp.py 1 10000
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Iterable

import aiohttp

from lattice_client import LatticeAuth, RetryPolicy
from lattice_client.aiohttp import client_session

AT_ONCE = 200


async def run(url: str, numbers: Iterable[int]) -> Counter[str]:
    """Confirm these orders; return how many ended with each status or error."""
    outcomes: Counter[str] = Counter()
    waiting = iter(numbers)
    async with client_session(
        auth=LatticeAuth(),
        retry=RetryPolicy(attempts=5),
        # As many connections as workers, and none that Lattice is about to close as idle.
        connector=aiohttp.TCPConnector(limit=AT_ONCE, keepalive_timeout=50),
        timeout=aiohttp.ClientTimeout(total=30, sock_connect=2, sock_read=5),
    ) as session:

        async def worker() -> None:
            for number in waiting:  # shared: each number is taken by one worker
                try:
                    async with session.put(f"{url}/orders/{number}/confirmation") as response:
                        await response.read()
                        outcomes[str(response.status)] += 1
                except (aiohttp.ClientError, TimeoutError) as error:
                    outcomes[type(error).__name__] += 1

        async with asyncio.TaskGroup() as workers:
            for _ in range(AT_ONCE):
                workers.create_task(worker())
    return outcomes


if __name__ == "__main__":
    first, last = map(int, sys.argv[1:3])
    for outcome, count in asyncio.run(
        run(os.environ["ORDERS_URL"], range(first, last + 1))
    ).items():
        print(f"{count:6} {outcome}")
