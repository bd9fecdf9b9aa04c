"""httpx and httpx2: the auth flow, the transports and their connections."""
