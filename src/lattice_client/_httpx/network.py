"""httpx and httpx2: connections of a pool to given addresses, below all that sees a request's URL.

A pool of httpcore makes its connections by a network backend, which gets the host of the URL. These
take its place, and connect to addresses instead. URL, SNI and certificate stay those of the name,
also for what patches transports and pools: mocks and instrumentation.
"""

from __future__ import annotations

from typing import Any

__all__ = ["AsyncNetwork", "Network"]

# Seconds before the next address is tried beside one that does not answer ("Happy Eyeballs",
# RFC 8305 section 5).
_HEAD_START = 0.25


class _Addressed:
    """What both share.

    :param inner: the library's own backend.
    :param addresses: IPv6 with brackets or without.
    :param port: None: the URL's.
    """

    def __init__(self, inner: Any, addresses: tuple[str, ...], port: int | None) -> None:
        self._inner = inner
        self._port = port
        self._given = addresses
        self._addresses = tuple(map(_bare, addresses))
        # The address of the last connection.
        self._reached = ""

    def lead_to(self, addresses: tuple[str, ...]) -> bool:
        """Connect to these from now on.

        :returns: False, and nothing changes, where they have none in common with those before: the
            pool's connections go elsewhere.
        """
        if addresses is self._given:
            return True
        bare = tuple(map(_bare, addresses))
        if not set(bare) & set(self._addresses):
            return False
        self._given, self._addresses = addresses, bare
        return True

    def _in_order(self) -> list[str]:
        """The addresses as they are tried: the one that was reached last comes first."""
        return sorted(self._addresses, key=lambda each: each != self._reached)


def _bare(address: str) -> str:
    return address.strip("[]")


class Network(_Addressed):
    """Tries one address after the other, as the library does with those of a name."""

    def connect_tcp(self, host: str, port: int, **how: Any) -> Any:  # noqa: ARG002 as httpcore's
        *others, last = self._in_order()
        for address in others:
            try:
                stream = self._inner.connect_tcp(address, self._port or port, **how)
            except Exception:  # noqa: BLE001, S112 the next one may do
                continue
            self._reached = address
            return stream
        stream = self._inner.connect_tcp(last, self._port or port, **how)
        self._reached = last
        return stream

    def connect_unix_socket(self, path: str, **how: Any) -> Any:
        return self._inner.connect_unix_socket(path, **how)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class AsyncNetwork(_Addressed):
    """Tries the next address beside one that does not answer at once, as the library does with
    those of a name."""

    async def connect_tcp(self, host: str, port: int, **how: Any) -> Any:  # noqa: ARG002
        port = self._port or port
        addresses = self._in_order()
        if len(addresses) == 1:
            return await self._inner.connect_tcp(addresses[0], port, **how)
        import anyio  # a dependency of httpx and httpx2

        streams: list[Any] = []
        errors: list[Exception] = []

        async def connect(address: str, ended: anyio.Event) -> None:
            try:
                stream = await self._inner.connect_tcp(address, port, **how)
            except Exception as error:  # noqa: BLE001 another one may do
                errors.append(error)
                ended.set()
                return
            streams.append(stream)
            if len(streams) == 1:
                self._reached = address
                attempts.cancel_scope.cancel()

        try:
            async with anyio.create_task_group() as attempts:
                for address in addresses:
                    ended = anyio.Event()
                    attempts.start_soon(connect, address, ended)
                    with anyio.move_on_after(_HEAD_START):
                        await ended.wait()
        except BaseException:  # cancelled: no caller gets it
            await _close(streams)
            raise
        if not streams:
            raise errors[0]
        stream, *late = streams
        await _close(late)
        return stream

    async def connect_unix_socket(self, path: str, **how: Any) -> Any:
        return await self._inner.connect_unix_socket(path, **how)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


async def _close(streams: list[Any]) -> None:
    import anyio

    with anyio.CancelScope(shield=True):
        for stream in streams:
            await stream.aclose()
