"""The user's own pictures as training images."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.checkpoint import load_model
from tests.models import TINY
from tests.tools import ROOT
from training import __main__ as command
from training.data.folder import constant_border, read_folder
from training.data.images import DataError
from training.data.named import load_splits
from training.data.pictures import Picture, read_picture
from training.evaluation.classifier import Classifier, save_classifier
from training.runs import train


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes of twelve pictures of several sizes and kinds, and things that are none."""
    root = tmp_path / "pictures"
    for label, colour in (("blue", (0, 0, 255)), ("red", (255, 0, 0))):
        (root / label / "deep").mkdir(parents=True)
        for i in range(12):
            place = root / label / ("deep" if i % 2 else "")
            image = Image.new("RGB", (30 + 7 * i, 40), colour)
            image.save(place / f"{i:02}.{'jpg' if i % 3 else 'png'}")
    (root / "red" / "notes.txt").write_text("not a picture")
    (root / "red" / "cut.png").write_bytes((root / "red" / "00.png").read_bytes()[:40])
    (root / "stray.png").write_bytes(b"")
    (root / ".cache").mkdir()
    return root


def test_subfolders_are_classes_and_what_was_skipped_is_said(pictures: Path) -> None:
    data = read_folder(pictures, channels=3, size=16)
    assert data.label_names == ("blue", "red")
    assert data.training.images.shape == (20, 3, 16, 16)
    assert torch.bincount(data.test.labels).tolist() == [2, 2]
    red = data.training.images[data.training.labels == 1].float().mean((0, 2, 3))
    assert red[0] > 240
    assert red[2] < 15
    assert data.report.startswith("24 pictures of 2 classes, 4 of them kept back as a test\nskipped 4:")
    assert ".cache: hidden" in data.report
    assert "red/notes.txt: not a picture" in data.report
    assert "red/cut.png: damaged" in data.report
    assert "stray.png: outside the subfolders" in data.report


def test_a_folder_without_subfolders_is_one_class(tmp_path: Path) -> None:
    for i in range(3):
        Image.new("L", (28, 28), 10 * i).save(tmp_path / f"{i}.png")
    data = load_splits("folder", tmp_path)
    assert data.label_names == ("any",)
    assert data.training.images[:, 0, 0, 0].tolist() == [0, 20]
    assert data.test.images[:, 0, 0, 0].tolist() == [10]


def test_a_rotated_photograph_stands_upright(tmp_path: Path) -> None:
    plain(tmp_path / "a.png")
    tall = Image.new("L", (8, 16))
    tall.paste(255, (0, 0, 8, 8))  # white above
    exif = tall.getexif()
    exif[0x0112] = 3  # "turned by 180 degrees"
    tall.save(tmp_path / "b.png", exif=exif)
    turned = read_folder(tmp_path, channels=1, size=8).test.images[0, 0]
    assert turned[-1].float().mean() > turned[0].float().mean()


def strokes(path: Path, grey: int, opacity: int = 255) -> None:
    """Save a drawing of one grey line on a transparent ground, which is white beneath, as some save it."""
    image = Image.new("LA", (16, 16), (255, 0))
    image.paste((grey, opacity), (6, 0, 10, 16))
    image.save(path)


def plain(path: Path, grey: int = 100) -> None:
    """Save a picture with a dark and a bright half."""
    image = Image.new("L", (16, 16), grey)
    image.paste(grey + 100, (0, 0, 8, 16))
    image.save(path)


@pytest.mark.parametrize(("grey", "ground"), [(0, 255), (60, 255), (255, 0), (200, 0)])
def test_transparent_parts_contrast_with_the_strokes(tmp_path: Path, grey: int, ground: int) -> None:
    for name in ("a.png", "b.png"):
        strokes(tmp_path / name, grey)
    data = read_folder(tmp_path, channels=1, size=16)
    assert data.training.images[0, 0, :, 0].unique().tolist() == [ground]
    assert data.training.images[0, 0, :, 8].unique().tolist() == [grey]
    assert f"transparent parts are {'white' if ground else 'black'}" in data.report
    assert "contrast" not in data.report


def test_one_ground_holds_for_the_whole_folder(tmp_path: Path) -> None:
    """The strokes decide by their sum, and a picture that thereby loses its contrast is named."""
    for name, grey in (("a.png", 0), ("b.png", 20), ("c.png", 40), ("d.png", 250)):
        strokes(tmp_path / name, grey)
    data = read_folder(tmp_path, channels=3, size=16)
    assert (data.training.images[:, :, :, 0] == 255).all()
    assert "used, but look at 1:\n  d.png: hardly any contrast (5 of 255 grey values)" in data.report


def test_nothing_visible_and_one_flat_colour_are_reported(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 255, 255, 0)).save(tmp_path / "clear.png")
    Image.new("RGB", (8, 8), (9, 200, 30)).save(tmp_path / "flat.png")
    plain(tmp_path / "good.png")
    report = read_folder(tmp_path, channels=3, size=8).report
    assert "clear.png: hardly any contrast (0" in report
    assert "flat.png: hardly any contrast (0" in report
    assert "good.png" not in report


def test_only_the_first_of_several_frames_counts_and_it_is_said(tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8), grey) for grey in (10, 200, 250)]
    for name in ("a.gif", "b.tif", "c.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    data = read_folder(tmp_path, channels=1, size=8)
    assert set(data.training.images.flatten().tolist()) == {10}
    for name in ("a.gif", "b.tif", "c.png"):
        assert f"{name}: only the first of its 3 frames or pages counts" in data.report


def test_hidden_and_system_folders_are_no_classes(tmp_path: Path) -> None:
    for name in ("cat", "dog", "__MACOSX/cat", ".git", "dog/@eaDir", "__pycache__", "#snapshot", "@Recycle"):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for i in range(3):
            plain(folder / f"{i}.png")
    (tmp_path / "pictures" / "dog" / "._0.png").write_bytes(b"Mac OS X")
    data = read_folder(tmp_path / "pictures", channels=1, size=8)
    assert data.label_names == ("cat", "dog")
    assert len(data.training) + len(data.test) == 6
    for name in ("__MACOSX", ".git", "dog/@eaDir", "dog/._0.png", "__pycache__", "#snapshot", "@Recycle"):
        assert f"  {name}: hidden, or left by the system" in data.details
    assert "skipped 7:" in data.report


def test_links_and_what_may_not_be_read_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, elsewhere = tmp_path / "pictures", tmp_path / "elsewhere"
    for folder in (root / "a", root / "locked", elsewhere):
        folder.mkdir(parents=True)
        for i in range(2):
            plain(folder / f"{i}.png")
    (root / "a" / "linked").symlink_to(elsewhere)
    (root / "a" / "gone.png").symlink_to(elsewhere / "none.png")
    (root / "a" / "2.png").symlink_to(elsewhere / "0.png")
    (root / "class").symlink_to(elsewhere)  # a whole class may be a link
    os.mkfifo(root / "a" / "pipe.png")
    (root / "a" / "locked").mkdir()
    listing, opening = Path.iterdir, Image.open

    def iterdir(path: Path) -> Iterator[Path]:  # the tests may run as root, who may read everything
        if path == root / "a" / "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listing(path)

    def opened(path: Path) -> Image.Image:
        if path == root / "a" / "0.png":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opening(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    monkeypatch.setattr(Image, "open", opened)
    data = read_folder(root, channels=1, size=8)
    assert data.label_names == ("a", "class", "locked")
    for line in (
        "a/linked: a link to a folder, which is not followed",
        "a/gone.png: a link to nothing",
        "a/pipe.png: neither a file nor a folder",
        "a/locked: permission denied",
        "a/0.png: permission denied",
    ):
        assert f"  {line}" in data.details
    assert "6 pictures of 3 classes" in data.report


@pytest.mark.parametrize("name", [b"caf\xe9", b"a\nb", b"\x1b[31mred", b"\xff"])
def test_class_names_that_cannot_be_sent_or_shown_are_refused(tmp_path: Path, name: bytes) -> None:
    os.makedirs(os.fsencode(tmp_path) + b"/x/" + name)
    with pytest.raises(DataError, match="rename it") as refused:
        read_folder(tmp_path / "x", 1, 8)
    assert str(refused.value).isprintable()


def test_other_languages_class_names_are_fine(tmp_path: Path) -> None:
    names = ("Größe", "кошка", "猫", "😀 a\u00a0b")
    for name in names:
        (tmp_path / name).mkdir()
        for i in range(2):
            plain(tmp_path / name / f"{i}.png")
    assert set(read_folder(tmp_path, 1, 8).label_names) == set(names)


def test_file_names_of_any_bytes_are_listed_as_text(tmp_path: Path) -> None:
    for i in range(2):
        plain(tmp_path / f"{i}.png")
    for name in (b"ann\xe9e.txt", b"two\nlines.txt"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("x")
    data = read_folder(tmp_path, 1, 8)
    data.report.encode()
    assert "  ann\\udce9e.txt: not a picture" in data.report
    assert "  two\\nlines.txt: not a picture" in data.report


def test_the_report_is_short_and_the_details_are_whole(tmp_path: Path) -> None:
    for i in range(2):
        plain(tmp_path / f"{i}.png")
    for i in range(9):
        (tmp_path / f"note{i}.txt").write_text("x")
    data = read_folder(tmp_path, 1, 8)
    assert "  and 4 more" in data.report
    assert "note8.txt" not in data.report
    assert all(f"note{i}.txt: not a picture" in data.details for i in range(9))
    assert "more" not in data.details


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "0 pictures that can be read"),
        (["a.txt"], "skipped: a.txt: not a picture"),
        (["x/"], "class x has 0 pictures"),
    ],
)
def test_a_folder_without_pictures_is_an_error(tmp_path: Path, names: list[str], said: str) -> None:
    for name in names:
        path = tmp_path / name
        path.mkdir() if name.endswith("/") else path.write_text("x")
    with pytest.raises(DataError, match=said):
        read_folder(tmp_path, 1, 28)
    with pytest.raises(DataError, match="is not a folder"):
        read_folder(tmp_path / "missing", 1, 28)


def test_too_many_classes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.data.folder.CLASSES_MAX", 2)
    for i in range(3):
        (tmp_path / str(i)).mkdir()
    with pytest.raises(InvalidValueError, match="3 is outside 1…2"):
        read_folder(tmp_path, 1, 28)


def test_a_constant_border_is_found() -> None:
    images = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    images[:, :, 1:3, 1:3] = 200
    assert constant_border(images) == -1
    images[0, 0, 0, 1] = 30
    assert constant_border(images) is None


@pytest.fixture
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make training use a network of little work for pictures of any size."""
    sizes = {name: getattr(TINY, name) for name in ("base_width", "mid_width", "blocks", "embedding_width")}
    real = train.UNetConfig
    monkeypatch.setattr(train, "UNetConfig", lambda *a: real(*a, attention_heads=1, **sizes))


def small_flags(data: Path, out: Path, *more: object) -> list[str]:
    return [str(flag) for flag in (
        "train", "--dataset", "folder", "--data", data, "--out", out, "--image-size", 16, "--epochs", 1,
        "--batch-size", 10, *more,
    )]  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("small_network")
def test_ctrl_c_while_pictures_are_read_stops_at_once_and_leaves_nothing(
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    """In a background job too, where a shell has Ctrl-C ignored."""
    out, read = tmp_path / "run", []

    def interrupted(path: Path, channels: int, size: int) -> Picture:
        read.append(path)
        if len(read) == 3:
            os.kill(os.getpid(), number)
        return read_picture(path, channels, size)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with monkeypatch.context() as patch:
            patch.setattr("training.data.folder.read_picture", interrupted)
            assert command.main(small_flags(pictures, out)) == 130
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(read) == 3
    assert capsys.readouterr().err.endswith("stopped\n")
    assert not out.exists()
    assert command.main(small_flags(pictures, out)) == 0  # and the next start is not refused


def test_a_terminal_that_cannot_show_a_file_name_stops_nothing(pictures: Path, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(pictures) + b"/ann\xe9e.txt")).write_text("x")
    (pictures / "猫.txt").write_text("x")
    done = subprocess.run(
        [sys.executable, "-m", "training", *small_flags(pictures, tmp_path / "run", "--batch-size", 100)],
        cwd=ROOT, capture_output=True, text=True, encoding="ascii",
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict"},
    )  # fmt: skip
    assert "skipped 6:" in done.stdout
    assert "ann\\udce9e.txt: outside the subfolders" in done.stdout
    assert "--batch-size 100 is outside" in done.stderr  # refused then, for this test to be short
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("small_network")
def test_train_on_a_folder_of_colour_pictures(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert command.main(small_flags(pictures, out, "--channels", 3)) == 0
    said = capsys.readouterr().out
    assert "24 pictures of 2 classes" in said
    assert str(out / "pictures.txt") in said
    details = (out / "pictures.txt").read_text("utf-8")
    assert details.startswith("24 pictures of 2 classes")
    assert details.count("hardly any contrast") == 24
    assert "red/notes.txt: not a picture" in details
    model = load_model(out / "model.safetensors")
    assert model.metadata.label_names == ("blue", "red")
    assert (model.network.config.channels, model.network.config.height) == (3, 16)
    assert model.metadata.dataset == "folder"
    assert model.metadata.border_value is None
    assert model.examples is not None
    assert model.examples.images.shape == (4, 3, 16, 16)


@pytest.mark.usefixtures("small_network")
def test_whatever_reads_the_data_again_refuses_classes_that_changed_places(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red becomes azure: as many classes and pictures, but labels 0 and 1 have changed places."""
    out = tmp_path / "run"
    assert command.main(small_flags(pictures, out, "--channels", 3)) == 0
    assert command.main(small_flags(pictures, tmp_path / "other", "--channels", 3, "--seed", 1)) == 0
    (pictures / "red").rename(pictures / "azure")
    capsys.readouterr()
    flags = small_flags(pictures, out, "--channels", 3, "--resume")
    assert command.main(flags) == 1
    said = "the class azure in the place of blue (label 0)"
    assert said in capsys.readouterr().err
    checkpoint, model = out / "checkpoint.pt", out / "model.safetensors"
    classifier = tmp_path / "c.safetensors"
    save_classifier(classifier, Classifier((3, 16, 16), 2), "folder", 0.0)
    for more in (
        ["export", "--checkpoint", checkpoint, "--out", tmp_path / "new.safetensors"],
        ["average", model, tmp_path / "other" / "model.safetensors", "--out", tmp_path / "new.safetensors"],
        ["evaluate", "--checkpoint", model, "--classifier", classifier],
        ["evaluate", "--checkpoint", checkpoint, "--classifier", classifier],
        ["experiments", "--checkpoint", model, "--classifier", classifier],
        ["distill", "--teacher", model, "--out", tmp_path / "student"],
    ):
        assert command.main([*map(str, more), "--data", str(pictures)]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "new.safetensors").exists()

    (pictures / "azure").rename(pictures / "red")
    own = Classifier((3, 16, 16), 2)
    for names, said in (
        (("red", "blue"), "the class red in the place of blue"),
        (("blue", "red"), "--count 9 is outside"),  # the classifier is accepted
    ):
        own.label_names = names
        save_classifier(classifier, own, "folder", 0.0)
        flags = ["experiments", "--checkpoint", str(model), "--classifier", str(classifier), "--count", "9"]
        assert command.main([*flags, "--data", str(pictures)]) == 2
        assert said in capsys.readouterr().err
    for shape, classes, said in (((1, 16, 16), 2, "pictures (1, 16, 16)"), ((3, 16, 16), 3, "of 3 classes")):
        save_classifier(classifier, Classifier(shape, classes), "folder", 0.0)
        assert command.main([*flags, "--data", str(pictures)]) == 2
        assert said in capsys.readouterr().err
