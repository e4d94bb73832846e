"""A session's life over any stream: conversation, outbox, tokens. Knows no transport."""
