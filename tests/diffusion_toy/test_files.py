"""Files that are written whole or not at all, and places that are tried before work is done for them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from diffusion_toy.files import UnwritableError, check_file, check_folder, check_new_folder, write_atomically


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_write_that_fails_leaves_the_previous_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert content_of(tmp_path) == {"a.json": b"old"}


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no devices in the file system")
def test_a_device_is_written_to_and_not_replaced() -> None:
    check_file("--json", Path(os.devnull))
    write_atomically(Path(os.devnull), b"gone")
    assert not Path(os.devnull).is_file()


def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"precious")
    check_file("--json", tmp_path / "there")
    check_file("--json", tmp_path / "new")
    check_folder("--out", tmp_path)
    assert content_of(tmp_path) == {"there": b"precious"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone/a.json", r"there is no folder .*gone\); make .*gone first"),
        ("file/a.json", "there is no folder .*file"),
        (".", r"it is a folder\); name a file in it"),
        ("x" * 300, r"File name too long\); choose another place"),
    ],
)
def test_a_place_that_cannot_be_written_is_named_with_the_reason(
    tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnwritableError, match=rf"^--json .* cannot be written \({said}"):
        check_file("--json", tmp_path / name)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that even root cannot write to")
def test_a_folder_without_permission_is_refused() -> None:
    with pytest.raises(
        UnwritableError, match=r"^--out /proc cannot be written \(.+\); choose another folder"
    ):
        check_folder("--out", Path("/proc"))
    with pytest.raises(
        UnwritableError, match=r"^--json /proc/a cannot be written \(.+\); choose another place"
    ):
        check_file("--json", Path("/proc/a"))


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, said in (("file", "it is no folder"), ("gone", "there is no such folder")):
        with pytest.raises(UnwritableError, match=said):
            check_folder("--out", tmp_path / name)


def test_a_folder_that_is_still_to_be_made_is_tried_by_the_one_above_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_new_folder("--out", tmp_path / "a" / "b")
    check_file("--out", tmp_path / "c" / "d" / "e.png", make_folder=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    for name in ("file", "file/a/b"):
        with pytest.raises(UnwritableError, match=r"file is no folder\); choose another folder"):
            check_new_folder("--out", tmp_path / name)
    with pytest.raises(UnwritableError, match="file is no folder"):
        check_file("--out", tmp_path / "file" / "d" / "e.png", make_folder=True)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that even root cannot write to")
def test_a_folder_that_nobody_may_make_is_refused() -> None:
    with pytest.raises(
        UnwritableError, match=r"^--out /proc.* cannot be written \(.+\); choose another folder"
    ):
        check_new_folder("--out", Path("/proc/a/b"))
