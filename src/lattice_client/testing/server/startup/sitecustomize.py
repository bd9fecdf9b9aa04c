"""Diverts the connections of a Python program as the process that started it does.

``as_caller`` puts this folder in ``PYTHONPATH``, so Python imports this file when it starts. It
needs nothing of the package, which may not be installed for that Python. Every Python 3 reads it,
and one that is too old for ``diverting.py`` ends. A ``sitecustomize`` that was there before runs as
well.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location

# pathlib is slow to import, and every Python program of the shell starts with this.
_HERE = os.path.dirname(os.path.abspath(__file__))


def _run_file(name: str, path: str) -> None:
    spec = spec_from_file_location(name, path)
    if spec is not None and spec.loader is not None:
        module = sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(module)


def _divert(text: str) -> None:
    name = "_lattice_client_diverting"
    try:
        if sys.version_info < (3, 8):  # noqa: UP036
            raise RuntimeError(  # noqa: TRY301
                "Python 3.8 or later is needed"
            )
        _run_file(name, os.path.join(os.path.dirname(_HERE), "diverting.py"))
        sys.modules[name].divert_for_good(text)
    except BaseException as error:  # noqa: BLE001
        # Python would go on, and the program would call the real services.
        why = f"lattice_client: calls cannot be led to the local Lattice: {error!r}\n"
        sys.stderr.write(why)
        sys.stderr.flush()
        os._exit(1)


_text = os.environ.get("LATTICE_CLIENT_DIVERT")
if _text:
    _divert(_text)

_others = [path for path in sys.path if os.path.abspath(path) != _HERE]
_next = PathFinder.find_spec("sitecustomize", _others)
if _next is not None and _next.origin is not None:
    _run_file("sitecustomize", _next.origin)
