"""Curl's options that ``call`` does not support, and what to do instead."""

from __future__ import annotations

from typing import Final

import click

from lattice_client.cli.help import Command

__all__ = ["UNSUPPORTED", "CurlCommand"]

_FORM: Final = "multipart forms are not supported; -T FILE or --data-binary @FILE sends a file"
_CERTIFICATE: Final = "HTTPS listeners of VPC Lattice ask for no client certificate"
_CONFIG: Final = "configuration files are not read; put the options into the command"
_JAR: Final = "cookies are not stored; -b 'NAME=VALUE' sends one"
_NETRC: Final = "the credentials are AWS's, from the environment or --profile"
_BEARER: Final = "Authorization contains the signature; with --query, -H 'Authorization: …' is kept"
_VERSION: Final = "requests are HTTP/1.1"
_NAMED: Final = "-o FILE names the file"

UNSUPPORTED: Final = {
    "-F": _FORM,
    "--form": _FORM,
    "--form-string": _FORM,
    "-E": _CERTIFICATE,
    "--cert": _CERTIFICATE,
    "--key": _CERTIFICATE,
    "-K": _CONFIG,
    "--config": _CONFIG,
    "-c": _JAR,
    "--cookie-jar": _JAR,
    "-n": _NETRC,
    "--netrc": _NETRC,
    "--oauth2-bearer": _BEARER,
    "-0": _VERSION,
    "--http1.0": _VERSION,
    "--http2": _VERSION,
    "--http3": _VERSION,
    "-O": _NAMED,
    "--remote-name": _NAMED,
    "--next": "each command sends one request",
}


class CurlCommand(Command):
    """A command with curl's options, which explains why an option of curl's is not supported."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            why = UNSUPPORTED.get(error.option_name)
            if why is None:
                raise
            raise click.UsageError(
                f"Curl's {error.option_name} is not supported: {why}.", ctx
            ) from None
