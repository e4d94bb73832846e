"""Resume tokens: a session's snapshot with a proof that a server of the same key made it.

A token is authenticated, not encrypted: its owner may read it, nobody can change it.
"""

from __future__ import annotations

import hashlib
import hmac

from google.protobuf.message import DecodeError

from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from diffusion_toy.v1.snapshot_pb2 import SealedSnapshot, Snapshot

FORMAT = 1  # of what `Snapshot` means; another one is refused
KEY_BYTES_MIN = 16
TOKEN_BYTES_MAX = 4 * 1024 * 1024


class TokenError(DiffusionToyError):
    """A resume token that this server did not make, cannot read or cannot carry."""


class Sealer:
    """Makes resume tokens and opens them.

    Args:
        key: the secret that the servers share, 16 bytes and more.
        limit_bytes: of a token, both ways; `Limits.request_bytes` less 1 KiB.

    Raises:
        InvalidValueError: a key that is too short.
    """

    def __init__(self, key: bytes, limit_bytes: int = TOKEN_BYTES_MAX) -> None:
        if len(key) < KEY_BYTES_MIN:
            raise InvalidValueError("the resume key's length", len(key), f"{KEY_BYTES_MIN} bytes and more")
        self._key, self.limit_bytes = key, limit_bytes

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, hashlib.sha256)

    def seal(self, snapshot: Snapshot) -> bytes:
        """Return the token of a snapshot, whose `format` is set here.

        Raises:
            TokenError: it would be too large.
        """
        stamped = Snapshot()
        stamped.CopyFrom(snapshot)
        stamped.format = FORMAT
        content = stamped.SerializeToString()
        token = SealedSnapshot(snapshot=content, mac=self._mac(content)).SerializeToString()
        self._check_size(token)
        return token

    def open(self, token: bytes) -> Snapshot:
        """Return the snapshot in a token.

        Raises:
            TokenError: it is too large, damaged, made with another key or of another format.
        """
        self._check_size(token)
        try:
            sealed = SealedSnapshot.FromString(token)
        except DecodeError as error:
            raise TokenError("the resume token is damaged; start a new session") from error
        if not hmac.compare_digest(sealed.mac, self._mac(sealed.snapshot)):
            raise TokenError(
                "the resume token was not made with this server's key, or it is damaged; start a new session "
                "(servers that take over from each other need the same resume key)"
            )
        try:
            snapshot = Snapshot.FromString(sealed.snapshot)
        except DecodeError as error:
            raise TokenError("the resume token holds no snapshot; start a new session") from error
        if snapshot.format != FORMAT:
            raise TokenError(
                f"the resume token has format {snapshot.format} and this server reads {FORMAT}; "
                "start a new session"
            )
        return snapshot

    def _check_size(self, token: bytes) -> None:
        if len(token) > self.limit_bytes:
            raise TokenError(f"a resume token of {len(token)} bytes exceeds the limit of {self.limit_bytes}")
