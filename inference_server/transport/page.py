"""The page's files, in memory, and the headers of whatever is served over HTTP."""

from __future__ import annotations

import gzip
import mimetypes
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "web_client" / "dist"  # beside this package, installed or not
ASSETS = "/assets/"  # whose names change with their content
WALL = "/wall"  # the same file: its script looks at the address
SHORTCUTS = {"/": "/index.html", WALL: "/index.html"}
COMPRESSED = (
    "text/",
    "application/javascript",
    "application/json",
    "application/manifest+json",
    "image/svg+xml",
)

# A strict page: nothing from other hosts, nothing inline, no frame around it, no address told to others.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class File:
    """A file of the page, as it is served."""

    content: bytes
    compressed: bytes | None  # gzip, where that helps
    kind: str
    cache: str


class Page:
    """The files of a folder, by the path of their address.

    They are read once: what is not in the folder at the start is never served, whatever path is asked for.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files: dict[str, File] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                address = "/" + path.relative_to(folder).as_posix()
                self._files[address] = _read(path, forever=address.startswith(ASSETS))
        for address, name in SHORTCUTS.items():
            if name in self._files:
                self._files[address] = self._files[name]

    def __bool__(self) -> bool:
        return "/" in self._files

    def get(self, path: str) -> File | None:
        """Return the file at a path, without its query; None if there is none."""
        return self._files.get(path)


def _read(path: Path, *, forever: bool) -> File:
    content = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if path.suffix in (".js", ".mjs"):
        kind = "text/javascript"  # whatever this system's table says: `nosniff` makes it matter
    compressed = gzip.compress(content, mtime=0) if kind.startswith(COMPRESSED) else b""
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    return File(
        content,
        compressed if 0 < len(compressed) < len(content) else None,
        kind,
        "public, max-age=31536000, immutable" if forever else "no-cache",
    )
