"""One call of a client: its attempts, each signed, and the events for observers."""
