"""Curl's options that are not here, and what to do instead."""

from __future__ import annotations

from typing import Final

import click

from lattice_client.cli.help import Command

__all__ = ["LEFT_OUT", "CurlCommand"]

_FORM: Final = "forms of several parts are not made; -T FILE or --data-binary @FILE sends a file"
_CERTIFICATE: Final = "HTTPS listeners of VPC Lattice ask for no client certificate"
_CONFIG: Final = "configuration files are not read; put the options into the command"
_JAR: Final = "cookies are not kept; -b 'NAME=VALUE' sends one"
_NETRC: Final = "credentials are AWS's: the environment's, or --profile's"
_BEARER: Final = "Authorization bears the signature; with --query, -H 'Authorization: …' can stay"
_VERSION: Final = "requests are HTTP/1.1"
_NAMED: Final = "-o FILE names the file"

LEFT_OUT: Final = {
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
    "--next": "there is one request for each command",
}


class CurlCommand(Command):
    """A command that takes curl's options, and says of those that it does not take why."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            why = LEFT_OUT.get(error.option_name)
            if why is None:
                raise
            raise click.UsageError(f"Curl's {error.option_name} is not here: {why}.", ctx) from None
