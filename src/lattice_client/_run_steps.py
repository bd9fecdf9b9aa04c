"""Run sans-I/O generators, which yield a step and its argument and are sent the step's result."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

__all__ = ["run", "run_async"]


def run(steps: Generator[tuple[str, Any], Any, Any], ops: Any) -> Any:
    """Do each step with the method of ``ops`` that has its name.

    :returns: what the generator returns.
    """
    try:
        step, argument = next(steps)
        while True:
            try:
                result = getattr(ops, step)(argument)
            except BaseException as error:  # noqa: BLE001 the generator decides
                step, argument = steps.throw(error)
            else:
                step, argument = steps.send(result)
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


async def run_async(steps: Generator[tuple[str, Any], Any, Any], ops: Any) -> Any:
    """As :func:`run`, for methods that are awaited."""
    try:
        step, argument = next(steps)
        while True:
            try:
                result = await getattr(ops, step)(argument)
            except BaseException as error:  # noqa: BLE001 the generator decides
                step, argument = steps.throw(error)
            else:
                step, argument = steps.send(result)
    except StopIteration as end:
        return end.value
    finally:
        steps.close()
