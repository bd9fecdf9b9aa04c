"""httpx and httpx2: the transports, their connections and the auth flow."""
