"""`fastitpn visualize tokens` as a whole."""

import shutil

import pytest
import torch
from PIL import Image

import fastitpn
from fastitpn.cli.main import main
from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.models.acceleration.gathering import Gathering
from fastitpn.models.acceleration.migration import Migration
from fastitpn.models.acceleration.settings import PRESETS
from fastitpn.visualization import tokens as module
from fastitpn.visualization.config import VisualizeTokensConfig
from fastitpn.visualization.tokens import run_visualize_tokens


@pytest.fixture
def draw(checkpoint, photos, tmp_path):
    """Runs the command with keys."""

    def draw(**keys):
        given = {"checkpoint": checkpoint, "images": photos, "out": tmp_path / "out", "device": "cpu", **keys}
        return run_visualize_tokens(build(VisualizeTokensConfig, given))

    return draw


@pytest.fixture
def traces(monkeypatch):
    """The titles and traces of what is drawn."""
    seen = []
    token_picture = module.token_picture

    def spy(image, trace, *, title, notes):
        seen.append((title, trace, notes))
        return token_picture(image, trace, title=title, notes=notes)

    monkeypatch.setattr(module, "token_picture", spy)
    return seen


def test_from_the_command_line(checkpoint, photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["visualize", "tokens", str(checkpoint), str(photos), f"out={out}", "device=cpu"]) == 0
    printed = capsys.readouterr().out
    assert f"2 pictures in {out}, all on one page: {out / 'report.html'}" in printed
    assert "acceleration " not in printed  # what it was trained with
    assert sorted(path.name for path in out.iterdir()) == [
        "chelsea.tokens.png",
        "drinks-coffee.tokens.png",
        "report.html",
    ]
    with Image.open(out / "chelsea.tokens.png") as picture:
        assert picture.width > 2 * 448
    page = (out / "report.html").read_text()
    for part in ("chelsea.jpg", "drinks/coffee.jpg", "data:image/", "left after block 2", "acceleration", "fast"):
        assert part in page
    assert "https://" not in page


def test_one_image_and_what_is_returned(draw, photos, traces):
    result = draw(images=photos / "chelsea.jpg")
    assert [path.name for path in result.pictures] == ["chelsea.tokens.png"]
    assert result.report.is_file()
    [(title, trace, notes)] = traces
    assert title == "chelsea.jpg"
    assert notes == ("fastitpn_nano at 96 px, weights of fast.ckpt", PRESETS["fast"].describe())
    assert trace.grid == (6, 6)
    stayed = int((trace.left == 0).sum())
    assert stayed == -(-36 * 3 // 10)  # 30 %


def test_the_trace_is_that_of_the_image_as_predict_sees_it(draw, checkpoint, photos, traces):
    from fastitpn.data.images.decode import read_image
    from fastitpn.data.images.transforms import classify_eval
    from fastitpn.tasks.loading import load_trained

    draw(images=photos / "chelsea.jpg")
    classifier = load_trained(checkpoint)
    pixels = classify_eval(96, mean=classifier.mean, std=classifier.std)(read_image(photos / "chelsea.jpg"))
    expected = classifier.model.trace_tokens(pixels[None])
    assert torch.equal(traces[0][1].left, expected.left)
    assert torch.equal(traces[0][1].match, expected.match)


def test_another_size_and_windows(draw, monkeypatch, traces):
    windows = {"name": "balanced", "migration": Migration(after_blocks=(1, 3)), "gathering": Gathering(window=4)}
    monkeypatch.setitem(PRESETS, "balanced", fastitpn.Acceleration(**windows))
    draw(acceleration="balanced", px=128)
    for _, trace, _ in traces:
        assert (trace.grid, trace.windows, trace.steps) == ((8, 8), (2, 2), (1, 3))
        assert trace.gathered.shape == (1, 4, 64)


def test_a_plain_checkpoint_shows_balanced_and_says_so(draw, plain, capsys, traces):
    draw(checkpoint=plain)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("acceleration ")]
    assert lines == [f"acceleration {PRESETS['balanced'].describe()}, although the weights were trained with off"]
    assert int((traces[0][1].left > 0).sum()) > 0


def test_only_so_many_spread_over_the_folder(draw, photos, tmp_path, capsys, traces):
    many = tmp_path / "many"
    many.mkdir()
    for number in range(9):
        shutil.copy(photos / "chelsea.jpg", many / f"{number}.jpg")
    draw(images=many, limit=3)
    assert [title for title, _, _ in traces] == ["0.jpg", "4.jpg", "8.jpg"]
    assert "3 of 9 images, spread evenly; limit=9 draws all" in capsys.readouterr().out


def test_pictures_of_the_same_name_are_told_apart_and_no_image_is_replaced(draw, photos, traces):
    shutil.copy(photos / "chelsea.jpg", photos / "drinks-coffee.png")
    before = {path: path.read_bytes() for path in photos.rglob("*") if path.is_file()}
    first = draw(out=photos)
    assert [path.name for path in first.pictures] == [
        "chelsea.tokens.png",
        "drinks-coffee.tokens.png",
        "drinks-coffee-2.tokens.png",
    ]
    assert {path: path.read_bytes() for path in before} == before
    assert draw(out=photos) == first  # its own pictures are no images
    assert len(traces) == 6


def test_damaged_images_in_a_folder_are_skipped_and_named(draw, photos, capsys):
    for number in range(11):
        (photos / f"bad{number:02}.png").write_bytes(b"none")
    assert len(draw().pictures) == 2
    printed = capsys.readouterr().out
    assert f"skipped: {photos / 'bad00.png'}: cannot read this image" in printed
    assert "bad10" not in printed
    assert "and 1 more skipped" in printed


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["{checkpoint}", "{photos}", "acceleration=fst"], "did you mean fast?"),
        (["{checkpoint}", "{photos}", "acceleration=off"], "expected balanced or fast, since with off no token leaves"),
        (["{checkpoint}", "{photos}", "px=100"], "px: expected a whole number of at least 32, a multiple of 16"),
        (["{checkpoint}", "{empty}"], "no images in this folder"),
        (["{checkpoint}", "{empty}/none.jpg"], "there is no such image or folder"),
        (["{checkpoint}"], "images: required"),
        (["images={photos}"], "checkpoint: required, or model=NAME with weights=FILE"),
        (["{checkpoint}", "{photos}", "model=fastitpn_nano"], "expected only one of checkpoint and model"),
        (["{photos}", "{photos}"], "this folder holds no weights"),
        (["{photos}/chelsea.jpg", "{photos}"], "the file is damaged or no PyTorch file"),
        (["{checkpoint}.none", "{photos}"], "no such weights file"),
        (["model=fastitpn_nona", "images={photos}"], "there is no model 'fastitpn_nona'"),
        (["model=fastitpn_tiny", "weights={checkpoint}", "images={photos}"], "model=fastitpn_nano"),
        (["{checkpoint}", "{photos}", "out={checkpoint}"], "out is a file"),
        (["{checkpoint}", "{bad}"], "cannot read this image"),
        (["{checkpoint}", "{photos}", "device=cuda"], "there is no device 'cuda' here"),
    ],
)
def test_mistakes_end_with_2_and_a_message(words, text, checkpoint, photos, tmp_path, capsys):
    if "device=cuda" in words and torch.cuda.is_available():
        pytest.skip("it is here")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.png").write_bytes(b"none")
    places = {"checkpoint": checkpoint, "photos": photos, "empty": tmp_path / "empty", "bad": tmp_path / "bad.png"}
    words = [word.format(**places) for word in words]
    extra = [] if any(word.startswith(("out=", "device=")) for word in words) else ["device=cpu"]
    out = [] if any(word.startswith("out=") for word in words) else [f"out={tmp_path / 'out'}"]
    assert main(["visualize", "tokens", *words, *extra, *out]) == 2
    streams = capsys.readouterr()
    assert text in streams.err
    assert "Traceback" not in streams.err
    assert not list(tmp_path.glob("out/*"))


def test_a_folder_of_damaged_images_is_an_error(draw, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"none")
    with pytest.raises(InputError, match="none of the 1 images can be read; the first: cannot read"):
        draw(images=tmp_path / "bad")


def test_a_folder_with_nothing_but_its_own_pictures(draw, photos, tmp_path):
    draw()
    with pytest.raises(InputError, match="the only images in this folder are pictures of this command"):
        draw(images=tmp_path / "out")


def test_the_report_of_a_run_is_not_replaced(draw, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("data: x\n")
    with pytest.raises(InputError, match="out is the directory of a run") as caught:
        draw(out=tmp_path / "run")
    assert caught.value.fix == f"out={tmp_path / 'run' / 'tokens'}"
