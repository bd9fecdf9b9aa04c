"""How requests are signed, for all libraries: which signer, which scope, and what a refusal teaches."""
