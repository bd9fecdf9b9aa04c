"""The memory of one signer with all that it keeps, before and after very many targets and hosts."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from benchmarks.contenders import METHOD, REGION, credentials
from lattice_client.signing import SigV4Signer

__all__ = ["Memory", "run", "size_of"]

# A hash state's own memory is OpenSSL's, which sys.getsizeof() does not see. On 64-bit Linux a
# process grows by 242 bytes for each of 100,000 copies, Python's 32 among them (OpenSSL 3.0).
_HASH_STATE = 256
# What belongs to the program rather than to a signer.
_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType)


@dataclass(frozen=True, slots=True)
class Memory:
    """In bytes."""

    fresh: int
    after_first: int
    after_all: int
    most: int
    signatures: int


def size_of(root: object, *without: object) -> int:
    """The bytes of an object and of all that only it leads to: everything but types, modules,
    functions, what is ``without``, and constants."""
    seen = {id(each) for each in without}
    total = 0
    rest: list[Any] = [root]
    while rest:
        each = rest.pop()
        if id(each) in seen or each is None or isinstance(each, _SHARED):
            continue
        seen.add(id(each))
        total += sys.getsizeof(each)
        if type(each).__name__ == "HASH":
            total += _HASH_STATE
        rest.extend(_parts(each))
    return total


def _parts(each: Any) -> list[Any]:
    if isinstance(each, MethodType):
        return [each.__self__]
    if isinstance(each, dict):
        return [*each.keys(), *each.values()]
    if isinstance(each, tuple | list | set | frozenset):
        return list(each)
    slots = [slot for kind in type(each).__mro__ for slot in getattr(kind, "__slots__", ())]
    parts = [getattr(each, slot) for slot in slots if hasattr(each, slot)]
    if hasattr(each, "__dict__"):
        parts.append(vars(each))
    return parts


def run(signatures: int) -> Memory:
    """Sign as many requests, each for another target on another host."""
    mine = credentials()
    signer = SigV4Signer(mine, REGION)

    # The credentials are the caller's, and so is the token in the headers.
    def size() -> int:
        return size_of(signer, mine, mine.token, mine.access_key, mine.secret_key)

    fresh = size()
    signer.sign(METHOD, "orders.example.com", "/orders/7?page=3")
    first = most = size()
    for number in range(signatures):
        target = f"/orders/{number}?page={number % 50}&status=open{number}"
        signer.sign(METHOD, f"service-{number}.example.com", target)
        if number % 1000 == 999:
            most = max(most, size())
    return Memory(fresh, first, size(), max(most, size()), signatures)
