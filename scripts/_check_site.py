"""Checks a built site as a reader's browser would meet it:  _check_site.py SITE DOCS"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

# What is fetched by showing a page, and with which attribute.
FETCHED = {
    ("img", "src"),
    ("script", "src"),
    ("iframe", "src"),
    ("link", "href"),
    ("source", "src"),
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
    """All that is wrong, one line each."""
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


if __name__ == "__main__":
    wrong = faults(Path(sys.argv[1]), Path(sys.argv[2]))
    print(*wrong, sep="\n", file=sys.stderr)
    sys.exit(1 if wrong else 0)
