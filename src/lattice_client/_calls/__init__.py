"""One call of a client: attempts, each of them signed, and what observers are told."""
