"""What importing costs and promises, each in a fresh interpreter."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import lattice_client

HTTP_LIBRARIES = ("requests", "httpx", "httpx2", "aiohttp", "urllib3", "httpcore", "anyio")
HEAVY = (
    *HTTP_LIBRARIES,
    "asyncio",
    "awscrt",
    "botocore",
    "cryptography",
    "dns",
    "opentelemetry",
    "trustme",
)
EXTRAS = {
    "_requests": "requests",
    "aiohttp": "aiohttp",
    "cli.app": "cli",
    "httpx": "httpx",
    "httpx2": "httpx2",
    "otel": "otel",
    "requests": "requests",
}
EXTRAS_OF_CLIENTS = ("requests", "httpx", "httpx2", "aiohttp")


def run(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def without(*libraries: str) -> str:
    """Code that makes an interpreter one in which these libraries are not installed."""
    return f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {libraries!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Absent())
"""


# Only imported by lattice_client.testing.serve(), which names the extra.
BEHIND_SERVE = {"lattice_client.testing.server.certificates"}
# Only imported by the command, likewise; this is where it begins.
COMMAND = {"lattice_client.cli.__main__", "lattice_client.cli.app"}
MODULES = [
    module.name
    for module in pkgutil.walk_packages(lattice_client.__path__, "lattice_client.")
    if module.name not in BEHIND_SERVE
    and (module.name in COMMAND or not module.name.startswith("lattice_client.cli."))
]


@pytest.mark.parametrize(
    "code",
    [
        "import lattice_client",
        "from lattice_client import *",
        "from lattice_client import LatticeAuth; LatticeAuth(region='eu-west-1')",
        "import lattice_client.testing",
        "import lattice_client.testing.plugin",
        "import lattice_client.signing",
        "from lattice_client import Names; Names(strict=True)",
    ],
)
def test_nothing_heavy_is_loaded(code):
    loaded = run(f"{code}\nimport sys\nprint(*sys.modules)").split()
    roots = {name.partition(".")[0] for name in loaded}
    allowed = {"asyncio"} if "plugin" in code else set()
    assert not roots & (set(HEAVY) - allowed)


def loaded_by(code: str) -> set[str]:
    """The modules that code loads beside those that a bare interpreter has."""
    out = run(f"import sys\nbare = set(sys.modules)\n{code}\nprint(*set(sys.modules) - bare)")
    return set(out.split())


def test_importing_the_package_imports_nothing_else():
    assert loaded_by("import lattice_client") == {"lattice_client", "lattice_client._lazy"}


def test_signing_loads_no_url_parser_until_a_target_needs_one():
    """It would take longer to import than all of the signing core."""
    sign = """
from lattice_client.signing import SigV4Signer
class Credentials:
    access_key, secret_key, token = "AKID", "s", None
signer = SigV4Signer(Credentials(), "eu-west-1")
signer.sign("POST", "orders.example.com:8443", "/orders/7?page=3&name=blue%20shoes&a=1", [], now=0)
"""
    encoded = "signer.sign('GET', 'orders.example.com', '/a:b%20c?d=%7e&e=/', now=0)\n"
    assert "urllib.parse" not in loaded_by(sign + encoded)
    needed = "signer.sign('GET', 'orders.example.com', '/\u00e9', now=0)"
    assert "urllib.parse" in loaded_by(sign + needed)


def test_signing_with_environment_credentials_loads_no_botocore():
    out = run("""
import os, sys
os.environ |= dict(AWS_ACCESS_KEY_ID="AKID", AWS_SECRET_ACCESS_KEY="s", AWS_REGION="eu-west-1")
from lattice_client import LatticeAuth
class Url:
    raw_path, raw_host = b"/", b"orders.example.com"
class Request:
    method, url, _content = "GET", Url(), b""
    class headers(dict):
        raw = []
    headers = headers(host="orders.example.com")
assert "Authorization" in LatticeAuth()(Request).headers
print("botocore" in sys.modules, "lattice_client.events" in sys.modules)
""")
    assert out.split() == ["False", "False"]


@pytest.mark.parametrize("library", ["requests", "httpx", "httpx2", "aiohttp"])
def test_a_client_loads_no_opentelemetry(library):
    loaded = loaded_by(f"import lattice_client.{library}")
    assert "lattice_client.events" in loaded
    assert "lattice_client.otel" not in loaded
    assert "opentelemetry" not in {name.partition(".")[0] for name in loaded}


def test_each_module_imports_alone_or_names_its_extra():
    """With every optional library absent; one interpreter forgets the package before each."""
    others = (
        "cryptography",
        "awscrt",
        "h11",
        "trustme",
        "click",
        "rich",
        "opentelemetry",
        "dns",
    )
    out = run(
        without(*HTTP_LIBRARIES, *others)
        + f"""
import importlib, json, traceback
outcomes = {{}}
for module in {MODULES!r}:
    for name in [name for name in sys.modules if name.partition('.')[0] == 'lattice_client']:
        del sys.modules[name]
    from lattice_client import MissingExtraError
    try:
        importlib.import_module(module)
    except MissingExtraError as error:
        outcomes[module] = [error.extra, str(error)]
    except BaseException:
        outcomes[module] = ['', traceback.format_exc()]
print(json.dumps(outcomes))
"""
    )
    expected = {
        module: extra
        for module in MODULES
        for name in [module.removeprefix("lattice_client.")]
        if (extra := EXTRAS.get(name) or EXTRAS.get(name.partition(".")[0]))
    }
    outcomes = json.loads(out)
    wrong = {m: text for m, (extra, text) in outcomes.items() if extra != expected.get(m)}
    assert not wrong, "\n".join(f"{module}: {text}" for module, text in wrong.items())
    assert outcomes.keys() == expected.keys()
    for extra, text in outcomes.values():
        assert f"pip install 'vpc-lattice-client[{extra}]'" in text


def test_the_httpx_of_1_0_is_called_another_library():
    """Its previews have no auth hooks."""
    out = run("""
import pickle, sys, types
sys.modules["httpx"] = types.SimpleNamespace(__version__="1.0.dev6")
try:
    import lattice_client.httpx
except ImportError as error:
    print(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
""")
    assert out.startswith("httpx 1.0.dev6 is another library")
    assert out.endswith("pip install 'vpc-lattice-client[httpx]'\n")


LOGGING = """
import logging
from lattice_client.denial.log import DenialLog
from lattice_client.denial import explain_parts
DenialLog().note(explain_parts(403, {}, b"", url="https://a.example.com/"))
"""


def test_a_program_without_logging_is_told_nothing():
    """The logging of a library is its program's choice."""
    command = [sys.executable, "-W", "error", "-c", LOGGING]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_program_with_logging_is_told():
    code = "import logging; logging.basicConfig()" + LOGGING
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert "WARNING:lattice_client.denial:403 from a.example.com" in result.stderr


def test_every_logger_is_made_where_the_handler_is():
    """But for those of the local Lattice, which is a tool, and of the command."""
    package = Path(lattice_client.__path__[0])
    sources = {
        path.relative_to(package).as_posix(): path.read_text(encoding="utf-8")
        for path in package.rglob("*.py")
    }
    makers = {name.partition("/")[0] for name, text in sources.items() if ".getLogger(" in text}
    assert makers == {"_log.py", "cli", "testing"}


def test_a_broken_library_is_not_called_missing():
    """Installed, but something that it needs is not: that is another error."""
    out = run(
        without("idna")
        + """
try:
    import lattice_client.httpx
except ModuleNotFoundError as error:
    print(type(error).__name__, error.name)
"""
    )
    assert out.split() == ["ModuleNotFoundError", "idna"]


@pytest.mark.parametrize("order", ["auth first", "library first"])
def test_any_import_order(order):
    lines = ["from lattice_client import LatticeAuth", "import requests, httpx, httpx2, aiohttp"]
    if order == "library first":
        lines.reverse()
    code = "\n".join([
        *lines,
        "from lattice_client import Credentials",
        "auth = LatticeAuth(region='eu-west-1', credentials=Credentials('AKID', 's'))",
        "r = requests.Request('GET', 'https://a.example/', auth=auth).prepare()",
        "h = auth(httpx.Request('GET', 'https://a.example/'))",
        "h2 = auth(httpx2.Request('GET', 'https://a.example/'))",
        "print(*('Authorization' in x.headers for x in (r, h, h2)))",
    ])  # fmt: skip
    assert run(code).split() == ["True"] * 3


ELSEWHERE = {
    "Session": ["requests"],
    "Adapter": ["requests"],
    "Client": ["httpx", "httpx2"],
    "AsyncClient": ["httpx", "httpx2"],
    "Transport": ["httpx", "httpx2"],
    "AsyncTransport": ["httpx", "httpx2"],
    "client_session": ["aiohttp"],
    "middleware": ["aiohttp"],
}


@pytest.mark.parametrize(("name", "modules"), ELSEWHERE.items())
def test_a_client_is_pointed_to(name, modules):
    ways = [f"from lattice_client.{module} import {name}" for module in modules]
    for way in ways:
        exec(way, {})
    with pytest.raises(AttributeError) as attribute:
        getattr(lattice_client, name)
    with pytest.raises(ImportError) as imported:
        exec(f"from lattice_client import {name}", {})
    for error in (attribute, imported):
        assert str(error.value).endswith(": " + " or ".join(ways))
        assert f"'lattice_client' has no attribute '{name}'" in str(error.value)
    assert not hasattr(lattice_client, name)
    assert name not in dir(lattice_client)


def test_all_names_of_the_clients_are_pointed_to():
    modules = [importlib.import_module(f"lattice_client.{name}") for name in EXTRAS_OF_CLIENTS]
    public = {name for module in modules for name in module.__all__}
    assert public - {"LatticeAuth", "SigV4Auth"} == set(ELSEWHERE)


def test_other_names_are_imported_as_ever():
    with pytest.raises(ImportError, match="cannot import name 'LatticeAuht'"):
        exec("from lattice_client import LatticeAuht", {})


LAZY_PACKAGES = [
    "lattice_client",
    "lattice_client.credentials",
    "lattice_client.denial",
    "lattice_client.names",
    "lattice_client.retry",
    "lattice_client.testing",
    "lattice_client.testing.policies",
    "lattice_client.testing.server",
]


def test_all_packages_with_lazy_names_are_tested():
    with_a_table = [
        name
        for name in ("lattice_client", *MODULES)
        if "_lazy_exports" in vars(importlib.import_module(name)) and not name.endswith("._lazy")
    ]
    assert with_a_table == LAZY_PACKAGES


@pytest.mark.parametrize("package", LAZY_PACKAGES)
def test_public_names_are_there(package):
    public = importlib.import_module(package)
    assert len(set(public.__all__)) == len(public.__all__)
    assert set(public.__all__) <= set(dir(public))
    # What dir() lists beyond these can be had too.
    for name in dir(public):
        assert hasattr(public, name), name
    with pytest.raises(AttributeError, match=f"'{package}' has no attribute 'LatticeAuht'"):
        _ = public.LatticeAuht


@pytest.mark.parametrize("name", ["aiohttp", "httpx", "httpx2", "requests"])
def test_each_library_has_the_auth_objects_under_its_module(name):
    module = importlib.import_module(f"lattice_client.{name}")
    assert issubclass(module.LatticeAuth, lattice_client.LatticeAuth)
    assert issubclass(module.SigV4Auth, lattice_client.SigV4Auth)
