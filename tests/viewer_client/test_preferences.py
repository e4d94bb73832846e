"""What is remembered, where, and that nothing of it can go wrong loudly."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import platformdirs.windows
import pytest
from platformdirs.macos import MacOS
from platformdirs.unix import Unix
from platformdirs.windows import Windows

from viewer_client import preferences
from viewer_client.preferences import FILE, Preferences

SEEN = Preferences(tour_seen=True)


PLATFORMS = {"linux": Unix, "darwin": MacOS, "win32": Windows}


@pytest.mark.parametrize(
    ("platform", "environment", "place"),
    [
        ("linux", {"DIFFUSION_TOY_CONFIG": "/a", "XDG_CONFIG_HOME": "/b"}, "/a"),
        ("win32", {"DIFFUSION_TOY_CONFIG": "/a"}, "/a"),
        ("linux", {"XDG_CONFIG_HOME": "/b"}, "/b/diffusion-toy"),
        ("linux", {"XDG_CONFIG_HOME": "b"}, "/home/me/.config/diffusion-toy"),
        ("linux", {}, "/home/me/.config/diffusion-toy"),
        ("win32", {}, "/roaming/diffusion-toy"),
        ("darwin", {}, "/home/me/Library/Application Support/diffusion-toy"),
    ],
)
def test_the_folder_is_the_platforms_unless_another_is_named(
    monkeypatch: pytest.MonkeyPatch, platform: str, environment: dict[str, str], place: str
) -> None:
    for name in ("XDG_CONFIG_HOME", preferences.CONFIG_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(platformdirs, "PlatformDirs", PLATFORMS[platform])
    monkeypatch.setattr(platformdirs.windows, "get_win_folder", {"CSIDL_APPDATA": "/roaming"}.__getitem__)
    assert preferences.folder() == Path(place)


def test_who_has_no_home_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_config_path", lambda *_, **__: Path("~/.config"))
    place = preferences.folder({})
    assert place is None
    preferences.save(place, SEEN)
    assert preferences.load(place) == Preferences()


def test_what_is_saved_is_loaded_again(tmp_path: Path) -> None:
    place = tmp_path / "new" / "folder"
    assert not preferences.load(place).tour_seen
    preferences.save(place, SEEN)
    assert preferences.load(place) == SEEN
    assert [path.name for path in place.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"tour_seen": "yes"}', b"[" * 100_000, b"null"]
)
def test_what_cannot_be_read_counts_as_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert preferences.load(tmp_path) == Preferences()


def test_what_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    preferences.save(tmp_path / "file", SEEN)
    (tmp_path / FILE).mkdir()  # it cannot be replaced by a file
    preferences.save(tmp_path, SEEN)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", FILE]
    assert preferences.load(tmp_path) == Preferences()
