"""Checks the links and resources of a built site, and that its reference has every public
name:  _check_site.py SITE DOCS SOURCE"""

from __future__ import annotations

import ast
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

# The tags and attributes that a browser fetches to show a page.
FETCHED = {
    ("img", "src"),
    ("script", "src"),
    ("iframe", "src"),
    ("link", "href"),
    ("source", "src"),
}

# The modules that users import from.
PUBLIC = (
    "",
    "aiohttp",
    "auth",
    "credentials",
    "denial",
    "errors",
    "events",
    "httpx",
    "identity",
    "names",
    "niquests",
    "otel",
    "requests",
    "retry",
    "signing",
    "testing",
)
# Described in prose as being like others, as are all names of httpx2.
IN_WORDS = {
    "__version__",
    *("aiohttp.LatticeAuth", "aiohttp.SigV4Auth"),
    *("httpx.LatticeAuth", "httpx.SigV4Auth"),
    *("requests.LatticeAuth", "requests.SigV4Auth"),
}


class Page(HTMLParser):
    """The anchors, links and fetched parts of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif (tag, name) == ("a", "href"):
                self.links.append(value)
            elif (tag, name) in FETCHED:
                self.fetched.append(value)


def faults(site: Path, docs: Path) -> list[str]:
    """The faults of the pages, one line each."""
    pages = {
        path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
    }
    found = [
        f"docs/{source.relative_to(docs)} is not in the site"
        for source in sorted(docs.rglob("*.md"))
        if source.relative_to(docs).with_suffix(".html").as_posix() not in pages
    ]
    for name, page in pages.items():
        if name == "404.html":  # served at any depth, so its links are absolute
            continue
        found += [f"{name} fetches {url}" for url in page.fetched if urlsplit(url).netloc]
        for link in [*page.links, *page.fetched]:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = unquote(urlsplit(urljoin(f"/{name}", url.path)).path).lstrip("/") or name
            if target.endswith("/"):
                target += "index.html"
            anchor = unquote(url.fragment)
            if not (site / target).is_file() or (
                anchor and target in pages and anchor not in pages[target].anchors
            ):
                found.append(f"{name} links to {link}, which is not there")
    linked = {
        urljoin(f"/{name}", urlsplit(link).path).lstrip("/")
        for name, page in pages.items()
        if name == "index.html"
        for link in page.links
    }
    found += [
        f"{name} is not in the navigation"
        for name in pages
        if name not in linked | {"404.html", "index.html"}
    ]
    return found


def unlisted(site: Path, package: Path) -> list[str]:
    """The public names missing from the reference, one line each."""
    anchors: set[str] = set()
    for page in (site / "reference").glob("*.html"):
        anchors |= Page(page.read_text(encoding="utf-8")).anchors
    found = []
    for module in PUBLIC:
        path = package / f"{module}.py" if (package / f"{module}.py").exists() else package / module
        source = path / "__init__.py" if path.is_dir() else path
        dotted = f"{package.name}.{module}".rstrip(".")
        for name in public_names(source.read_text(encoding="utf-8")):
            # A package's name may be listed under the module that defines it.
            listed = any(
                anchor.startswith(f"{dotted}.") and anchor.endswith(f".{name}")
                for anchor in anchors
            )
            if not listed and f"{module}.{name}".lstrip(".") not in IN_WORDS:
                found.append(f"{dotted}.{name} is not in the reference")
    return found


def public_names(source: str) -> list[str]:
    """A module's ``__all__``."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets
        ):
            return [str(name) for name in ast.literal_eval(node.value)]
    raise ValueError("there is no __all__")


if __name__ == "__main__":
    site, docs, package = map(Path, sys.argv[1:])
    wrong = faults(site, docs) + unlisted(site, package)
    print(*wrong, sep="\n", file=sys.stderr)
    sys.exit(1 if wrong else 0)
