"""The last test of a run: whatever the package said in all the others, it gave no secret away."""

from __future__ import annotations

import logging

from lattice_client import InvalidCredentialsError
from support import canary


def test_no_secret_token_or_signature_in_anything_said(sweep):
    sweep.look_at_reprs()
    assert sweep.looked_at > 10
    assert not sweep.leaks


def test_the_sweep_would_see_one():
    own = canary.Sweep()
    logging.getLogger("lattice_client.test").addHandler(own)
    logging.getLogger("lattice_client.test").propagate = False
    logging.getLogger("lattice_client.test").warning("signed with %s", canary.SECRET)
    own.look("an error", str(InvalidCredentialsError("the token is " + canary.TOKEN.upper())))
    own.look("a header", "Signature=" + "0123456789abcdef" * 4)
    assert len(own.leaks) == 2
    assert "canary/" not in str(own.leaks)
