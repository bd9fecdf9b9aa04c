"""Where no thread can be started: at the end of the interpreter, and in subinterpreters."""

from __future__ import annotations

import importlib.util

import pytest

from support.processes import run_script

SIGNING = """
import asyncio, atexit, sys, threading, time
import httpx, lattice_client.httpx
from lattice_client import Credentials, CredentialsError, RefreshingCredentials
calls, now = [], [time.time()]
def fetch():
    calls.append(1)
    return Credentials(f"ASIAGENERATION{len(calls)}", "s", "t", now[0] + 3600)
provider = RefreshingCredentials(fetch, name="the vault", jitter=0, clock=lambda: now[0])
auth = lattice_client.httpx.LatticeAuth(region="eu-west-1", credentials=provider)
def answer(request):
    key = request.headers["authorization"].partition("Credential=")[2].partition("/")[0]
    return httpx.Response(200, text=key)
transport = httpx.MockTransport(answer)
sync = httpx.Client(auth=auth, transport=transport)
async def ask():
    async with httpx.AsyncClient(auth=auth, transport=transport) as client:
        return (await client.get("https://a.example/")).text
def signed(how):
    return sync.get("https://a.example/").text if how == "sync" else asyncio.run(ask())
when, how, first, seconds = sys.argv[1:]
if first == "fetched":
    signed("sync")
def late():
    now[0] += float(seconds)
    print(signed(how), flush=True)
if when == "at exit":
    atexit.register(late)
else:
    def wait():
        threading.main_thread().join()
        late()
    threading.Thread(target=wait).start()
"""


@pytest.mark.parametrize("when", ["at exit", "in a thread that outlives the main one"])
@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize(
    ("first", "seconds", "keys"),
    [
        ("fetched", 60, {"ASIAGENERATION1"}),
        # The old ones serve, unless a thread could be started and was faster.
        ("fetched", 3000, {"ASIAGENERATION1", "ASIAGENERATION2"}),
        ("fetched", 4000, {"ASIAGENERATION2"}),
        ("nothing yet", 0, {"ASIAGENERATION1"}),
    ],
)
def test_a_call_when_the_program_ends(when, how, first, seconds, keys):
    assert run_script(SIGNING, when, how, first, str(seconds)).strip() in keys


LAST = """
import sys, time
from lattice_client import Credentials, LatticeAuth, RefreshingCredentials
now = [time.time()]
def fetch():
    return Credentials("ASIAGENERATION", "s", "t", now[0] + 3600)
provider = RefreshingCredentials(fetch, name="the vault", jitter=0, clock=lambda: now[0])
first, seconds = sys.argv[1:]
if first == "fetched":
    provider.get()
class Late:
    def __del__(self, now=now, provider=provider, seconds=float(seconds), sys=sys, say=print):
        assert sys.is_finalizing()
        now[0] += seconds
        for ask in (provider.peek, provider.get):
            try:
                found = ask()
                say(found and found.access_key, flush=True)
            except Exception as error:
                say(type(error).__name__, error, flush=True)
late = Late()
late.itself = late
"""


@pytest.mark.parametrize(
    ("first", "seconds", "peeked", "got"),
    [
        ("fetched", 3000, "ASIAGENERATION", "ASIAGENERATION"),
        ("fetched", 3590, "ASIAGENERATION", "ASIAGENERATION"),
        ("fetched", 4000, "None", "ExpiredCredentialsError"),
        ("nothing yet", 0, "None", "CredentialsError no credentials from the vault"),
    ],
)
def test_when_nothing_can_be_imported_any_more(first, seconds, peeked, got):
    said = run_script(LAST, first, str(seconds)).splitlines()
    assert said[0] == peeked
    assert said[1].startswith(got)
    assert got == "ASIAGENERATION" or "the interpreter is shutting down" in said[1]


INSIDE = """
import asyncio, logging, threading, time
from lattice_client import Credentials, CredentialsError, RefreshingCredentials
now, calls, failing = time.time(), [], False
logged = []
logging.getLogger("lattice_client").addHandler(type("H", (logging.Handler,), {
    "emit": lambda self, record: logged.append(record.getMessage())})())
def fetch():
    calls.append(threading.current_thread())
    if failing:
        raise CredentialsError("sealed")
    return Credentials(f"ASIAGENERATION{len(calls)}", "s", "t", now + 3600)
provider = RefreshingCredentials(fetch, name="the vault", jitter=0, clock=lambda: now)
first = provider.get()
now += 3000
assert provider.peek() is first
assert len(calls) == 1, "nothing is fetched in the background"
now += 500
assert provider.peek() is None
second = provider.get()
assert second.access_key == "ASIAGENERATION2", "early, while the caller waits"
now += 3500
failing = True
assert provider.peek() is None
assert provider.get() is second
assert provider.peek() is second, "valid ones serve while the source fails"
assert len(logged) == 1, logged
now += 101
failing = False
assert asyncio.run(provider.get_async()) is provider.peek()
assert len(calls) == 4, calls
print("done", flush=True)
"""

OUTSIDE = f"""
import os, sys
try:
    import _interpreters as interpreters
except ImportError:  # before 3.13
    import _xxsubinterpreters as interpreters
one = interpreters.create()
failed = interpreters.run_string(one, {INSIDE!r})
assert failed is None, failed
if sys.version_info[:2] == (3, 12):
    # 3.12.1 aborts when it ends a subinterpreter that has imported hashlib, as asyncio does.
    os._exit(0)
interpreters.destroy(one)
"""


@pytest.mark.skipif(
    not any(map(importlib.util.find_spec, ("_interpreters", "_xxsubinterpreters"))),
    reason="there are no subinterpreters here",
)
def test_in_a_subinterpreter():
    assert run_script(OUTSIDE) == "done\n"
