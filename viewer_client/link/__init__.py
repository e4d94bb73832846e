"""The way to a server: streams, retries, and what a session needs to be resumed."""
