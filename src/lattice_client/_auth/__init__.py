"""How requests are signed, for all libraries: which signer, which scope, what a refusal teaches."""
