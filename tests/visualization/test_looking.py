"""`fastitpn visualize features`, `attention` and `similarity` as a whole, for every kind of checkpoint."""

import numpy as np
import pytest
import torch
from PIL import Image

import fastitpn
from fastitpn.cli.main import main
from fastitpn.errors import InputError
from fastitpn.models.layers.cells import PATCH
from fastitpn.runs.checkpoint import save_checkpoint
from fastitpn.tasks.detect.model import create_detector
from fastitpn.visualization import attention, features, similarity

KINDS = ("features", "attention", "similarity")


@pytest.fixture
def draw(photos, tmp_path):
    """Runs a subject with keys."""

    def draw(kind, **keys):
        return fastitpn.visualize(kind, **{"images": photos, "out": tmp_path / "out", "device": "cpu", **keys})

    return draw


@pytest.fixture
def rows(monkeypatch):
    """The rows of panels that are drawn."""
    seen = []
    for module in (features, attention, similarity):
        write = module.write_drawings

        def spy(config, kind, subject, shown, rows, device, write=write, **more):
            seen.extend(rows)
            return write(config, kind, subject, shown, rows, device, **more)

        monkeypatch.setattr(module, "write_drawings", spy)
    return seen


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", ["pretrained_run", "classifier_run", "segmenter_run"])
def test_from_the_command_line_for_every_task(kind, task, photos, tmp_path, capsys, request):
    run, out = request.getfixturevalue(task), tmp_path / "out"
    assert main(["visualize", kind, str(run.directory), str(photos), f"out={out}", "device=cpu", "px=64"]) == 0
    names = {f"chelsea.{kind}.png", f"drinks-coffee.{kind}.png", f"{kind}.png", "report.html"}
    assert {path.name for path in out.iterdir()} == names
    assert f"2 pictures in {out}, side by side: {out / f'{kind}.png'}" in capsys.readouterr().out
    with Image.open(out / f"{kind}.png") as sheet, Image.open(out / f"chelsea.{kind}.png") as one:
        assert sheet.width == one.width
        assert sheet.height > 1.8 * one.height
    page = (out / "report.html").read_text()
    assert "drinks/coffee.jpg" in page
    assert "https://" not in page


@pytest.mark.parametrize(("detector", "finest"), [("mask_rcnn", 4), ("dino", 8)])
def test_of_a_detector(detector, finest, draw, saved, tmp_path, photos, rows):
    model = {"name": "fastitpn_nano", "arguments": {"img_size": 64}}
    settings = {"name": detector, "arguments": {}}
    network = create_detector(model, settings, num_classes=2)
    content = {**saved, "task": "detect", "model": model, "detector": settings, "weights": network.state_dict()}
    save_checkpoint(tmp_path / "detector.ckpt", {**content, "acceleration": None, "px": 64})
    for kind in KINDS:
        draw(kind, checkpoint=tmp_path / "detector.ckpt", images=photos / "chelsea.jpg")
    assert rows[0].panels[1].title == f"pyramid, stride {finest}"


@pytest.mark.parametrize("kind", KINDS)
def test_of_published_weights(kind, draw, photos, tmp_path):
    model = fastitpn.create_pretraining_model("fastitpn_nano", teacher_dim=48, img_size=64)
    torch.save({"module": fastitpn.to_official_names(model.half().state_dict())}, tmp_path / "published.pt")
    result = draw(kind, weights=tmp_path / "published.pt", images=photos / "chelsea.jpg")
    assert ([path.name for path in result.pictures], result.sheet) == ([f"chelsea.{kind}.png"], None)


def test_levels_of_a_pyramid_and_of_a_trunk_alone(draw, rows, pretrained_run, classifier_run):
    draw("features", checkpoint=pretrained_run.directory, px=64)
    titles = [panel.title for panel in rows[0].panels]
    assert titles == ["image", *(f"pyramid, stride {stride}" for stride in (4, 8, 16, 32, 64)), "trunk, stride 16"]
    assert [panel.legend[0].text for panel in rows[0].panels][1:] == [
        "16 x 16", "8 x 8", "4 x 4", "2 x 2", "1 x 1", "4 x 4",
    ]  # fmt: skip
    rows.clear()
    draw("similarity", checkpoint=classifier_run.directory, px=64, levels=("trunk", "4"))
    assert [panel.title for panel in rows[0].panels] == ["image", "trunk, stride 16", "stage 1, stride 4"]
    with pytest.raises(InputError, match="this model has no map 16, 64: it has no pyramid") as caught:
        draw("features", checkpoint=classifier_run.directory, levels="4,16,64")
    assert caught.value.fix.startswith("levels=4, or a checkpoint")


def test_the_same_image_has_the_same_colours_beside_another(draw, rows, pretrained_run, photos):
    (photos / "again.jpg").write_bytes((photos / "chelsea.jpg").read_bytes())
    draw("features", checkpoint=pretrained_run.directory, px=64, limit=3)
    again, chelsea, coffee = ([np.asarray(panel.image) for panel in row.panels[1:]] for row in rows)
    assert all((one == other).all() for one, other in zip(again, chelsea, strict=True))
    assert any((one != other).any() for one, other in zip(chelsea, coffee, strict=True))


def test_similarity_is_one_at_the_token_itself(draw, rows, monkeypatch, pretrained_run):
    seen = []
    monkeypatch.setattr(
        similarity, "similarity", lambda *given, own=similarity.similarity: seen.append(own(*given)) or seen[-1]
    )
    draw("similarity", checkpoint=pretrained_run.directory, px=64, token=(1, 3), limit=1, levels="4,8,16,32,trunk")
    places = [(6, 14), (3, 7), (1, 3), (0, 1), (1, 3)]
    for values, place in zip(seen, places, strict=True):
        assert values[place] == pytest.approx(1, abs=1e-5)
        assert values.max() <= 1 + 1e-5
    assert [legend.text for legend in rows[0].panels[0].legend] == ["4 x 4 tokens", "the token 1,3"]


def test_attention_by_block_and_head(draw, rows, classifier_run):
    draw("attention", checkpoint=classifier_run.directory, px=64, block=(1, 4), limit=1)
    titles = [panel.title for panel in rows[0].panels]
    assert titles == [
        "image",
        *(f"block {block}, {what}" for block in (1, 4) for what in ("mean of 3 heads", "head 1", "head 2", "head 3")),
    ]
    rows.clear()
    draw("attention", checkpoint=classifier_run.directory, px=64, heads="mean", limit=1)
    assert [panel.title for panel in rows[0].panels] == ["image", "block 6, mean of 3 heads"]


def test_a_token_that_left_is_said_so(draw, rows, checkpoint, photos):
    for place in range(36):
        token = (place // 6, place % 6)
        draw("attention", checkpoint=checkpoint, token=token, images=photos / "chelsea.jpg", heads="mean")
        [row] = rows
        rows.clear()
        if row.panels[1].title == "block 6":
            break
    assert row.panels[1].legend[0].text == "the token left after block 2"
    draw("attention", checkpoint=checkpoint, token=token, images=photos / "chelsea.jpg", acceleration="off")
    assert rows[0].panels[1].title == "block 6, mean of 3 heads"


def test_the_marked_token_is_where_it_should_be(draw, rows, pretrained_run):
    draw("similarity", checkpoint=pretrained_run.directory, px=64, token=(1, 2), limit=1, levels="16")
    picture = np.asarray(rows[0].panels[0].image).astype(int)
    side = picture.shape[0] // (64 // PATCH)
    assert (picture[side - 1, 2 * side : 3 * side] == 255).all()  # the white line above it
    assert (picture[side : 2 * side, 2 * side - 1] == 255).all()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["attention", "block=9"], "there is no block 9\n  where:    block\n  expected: 1 to 6"),
        (["attention", "block=0"], "block: expected"),
        (["attention", "token=6,0"], "there is no token 6,0 in a map of 6 x 6"),
        (["similarity", "token=1"], "token: expected 2 values separated by commas"),
        (["similarity", "levels=12"], "levels: expected"),
        (["features", "levels=32"], "this model has no map 32: it has no pyramid"),
        (["features", "token=1,1"], "token: unknown key"),
        (["features", "px=100"], "px: expected"),
        (["attentions"], "no task 'attentions'"),
    ],
)
def test_mistakes_end_with_2_and_a_message(words, text, checkpoint, photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["visualize", words[0], str(checkpoint), str(photos), f"out={out}", "device=cpu", *words[1:]]) == 2
    streams = capsys.readouterr()
    assert text in streams.err
    assert "Traceback" not in streams.err
    assert not out.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_own_pictures_are_no_images_and_runs_are_left_alone(kind, draw, photos, checkpoint, tmp_path):
    first = draw(kind, checkpoint=checkpoint, out=photos)
    assert draw(kind, checkpoint=checkpoint, out=photos) == first
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("data: x\n")
    with pytest.raises(InputError, match="out is the directory of a run"):
        draw(kind, checkpoint=checkpoint, out=tmp_path / "run")
