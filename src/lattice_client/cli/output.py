"""Writing a response to stdout, or to a file with a progress bar on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lattice_client.cli.failures import WRITE, Failure
from lattice_client.cli.terminal import binary_stream, console

if TYPE_CHECKING:
    import httpx

__all__ = ["Output", "head_of"]

_BINARY_ON_A_TERMINAL = (
    "The answer is binary and may upset the terminal: --output FILE keeps it, --output - shows it."
)


class Output:
    """:param path: a file; None for stdout; ``-`` for stdout, binary data on a terminal included.
    :param progress: whether to show a bar if stderr is a terminal.
    """

    def __init__(self, path: str | None, *, progress: bool) -> None:
        self._path = None if path == "-" else path
        self._progress = progress
        self._guards_terminal = path is None and sys.stdout.isatty()

    def write(self, head: bytes, pieces: Iterator[bytes], size: int | None) -> None:
        """Write a response.

        :param head: what precedes the body.
        :param size: the body's size in bytes, if known.
        :raises Failure: if it cannot be written.
        """
        if self._path is None:
            self._to_stdout(head, pieces)
        else:
            self._to_file(self._path, head, pieces, size)

    def _to_stdout(self, head: bytes, pieces: Iterator[bytes]) -> None:
        last = b""
        with _write_failures("stdout"):
            out = binary_stream(sys.stdout)
            out.write(head)
        for piece in pieces:
            if self._guards_terminal and not last and b"\0" in piece:
                raise Failure(WRITE, _BINARY_ON_A_TERMINAL)
            with _write_failures("stdout"):
                out.write(piece)
                out.flush()
            last = piece or last
        with _write_failures("stdout"):
            if self._guards_terminal and last and not last.endswith(b"\n"):
                out.write(b"\n")  # or the shell's prompt would follow on the same line
            out.flush()

    def _to_file(self, path: str, head: bytes, pieces: Iterator[bytes], size: int | None) -> None:
        # Closing the file writes too.
        with _write_failures(path), open(path, "wb") as file, self._bar(path, size) as advance:  # noqa: PTH123 the path as given
            file.write(head)
            for piece in pieces:
                file.write(piece)
                advance(len(piece))

    @contextmanager
    def _bar(self, path: str, size: int | None) -> Iterator[Callable[[int], None]]:
        out = console(stderr=True)
        if not (self._progress and out.is_terminal):
            yield lambda _: None
            return
        from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

        columns = (BarColumn(bar_width=None), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=out) as progress:
            task = progress.add_task(path, total=size)
            yield lambda count: progress.advance(task, count)


@contextmanager
def _write_failures(where: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failure(WRITE, f"{where} cannot be written: {error.strerror}.") from None


def head_of(response: httpx.Response) -> bytes:
    """The status line and headers of a response, as received."""
    lines = [
        f"{response.http_version} {response.status_code} {response.reason_phrase}".rstrip().encode()
    ]
    lines += [name + b": " + value for name, value in response.headers.raw]
    return b"\r\n".join(lines) + b"\r\n\r\n"
