"""The files of ``lattice-client local`` to source in a shell: programs there are callers."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from urllib.parse import quote

from lattice_client.testing import Caller, LocalLattice, RunningLattice
from lattice_client.testing.server.acting import Surroundings, trusted_bundle
from lattice_client.testing.server.diverting import Diversion

__all__ = ["UNDO", "settings_file", "write_settings"]

#: The shell function that restores what sourcing a file has changed.
UNDO = "lattice_deactivate"
# What would take precedence over the profile's keys.
_UNSET = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)


def settings_file(caller: Caller, folder: Path) -> Path:
    """The caller's file to source."""
    name = quote(caller.name, safe=" '+=,@")
    return folder / f"{name}.sh"


def write_settings(lattice: LocalLattice, running: list[RunningLattice], folder: Path) -> None:
    """Write an AWS configuration with a profile for each caller, and for each caller a file to
    source. The folder must be private to its owner."""
    config, credentials = folder / "config", folder / "credentials"
    callers = lattice.callers.values()
    config.write_text(
        "".join(f"[profile {each.name}]\nregion = {lattice.region}\n" for each in callers)
    )
    credentials.write_text("".join(map(_keys, callers)))
    values, joined = Surroundings.of(_diversions(lattice, running), lattice.region)
    values["AWS_CONFIG_FILE"] = str(config)
    # The developer's own file may have a profile of that name.
    values["AWS_SHARED_CREDENTIALS_FILE"] = str(credentials)
    if running[0].scheme == "https":
        values |= trusted_bundle(folder, running[0].ca_file, os.environ)
    for caller in callers:
        quoted = {name: shlex.quote(value) for name, value in values.items()}
        quoted["AWS_PROFILE"] = shlex.quote(caller.name)
        for name, (first, separator) in joined.items():
            quoted[name] = f'{shlex.quote(first)}"${{{name}:+{separator}${name}}}"'
        settings_file(caller, folder).write_text(_script(quoted))


def _diversions(lattice: LocalLattice, running: list[RunningLattice]) -> list[Diversion]:
    taken: set[str] = set()
    found = []
    for network, served in zip(lattice.networks.values(), running, strict=True):
        # A name leads to one address: that of the first network that contains it.
        names = frozenset(name for each in network.services for name in each.names) - taken
        taken |= names
        found.append(served.diversion(lambda names=names: names))  # type: ignore[misc]
    return found


def _script(quoted: dict[str, str]) -> str:
    """A script that sets variables, for any POSIX shell, and defines ``UNDO``.

    :param quoted: the values, as the shell reads them.
    """
    lines = [f"if command -v {UNDO} >/dev/null 2>&1; then {UNDO}; fi"]
    restoring = []
    for name in (*_UNSET, *quoted):
        kept = f"_LATTICE_OLD_{name}"
        lines.append(f'if [ -n "${{{name}+set}}" ]; then {kept}="${name}"; fi')
        restoring += [
            f'    if [ -n "${{{kept}+set}}" ]; then export {name}="${kept}"; else unset {name}; fi',
            f"    unset {kept}",
        ]
    lines += [f"{UNDO}() {{", *restoring, f"    unset -f {UNDO}", "}"]
    lines.append(f"unset {' '.join(_UNSET)}")
    lines += [f"export {name}={value}" for name, value in quoted.items()]
    return "\n".join(lines) + "\n"


def _keys(caller: Caller) -> str:
    held = caller.credentials
    token = f"aws_session_token = {held.token}\n" if held.token else ""
    return (
        f"[{caller.name}]\naws_access_key_id = {held.access_key}\n"
        f"aws_secret_access_key = {held.secret_key}\n{token}"
    )
