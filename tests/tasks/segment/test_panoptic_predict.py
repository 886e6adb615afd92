"""Prediction with a panoptic network: segments in Python, and what `fastitpn predict` writes of them."""

import json

import numpy as np
import pytest
from PIL import Image

import fastitpn
from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.images import MaskFolders, segmentation_images
from fastitpn.data.segmentation.panoptic_codes import ids_of_codes
from fastitpn.data.segmentation.panoptic_labels import read_segments
from fastitpn.errors import InputError
from fastitpn.tasks.segment import panoptic
from fastitpn.tasks.segment.heads.mask2former_network import Mask2FormerHead
from fastitpn.tasks.segment.panoptic_results import PanopticSegmentation


@pytest.fixture(autouse=True)
def _sure(monkeypatch):
    """After so few steps the network finds nothing: here each query is of some class, and draws half of the image."""
    forward = Mask2FormerHead.forward

    def forward_of_some_class(head, maps):
        outputs = forward(head, maps)
        for logits in outputs["classes"]:
            logits[..., -1] -= 30
        drawn = outputs["masks"][-1]
        outputs["masks"][-1] = drawn - drawn.flatten(2).median(2).values[..., None, None]
        return outputs

    monkeypatch.setattr(Mask2FormerHead, "forward", forward_of_some_class)
    monkeypatch.setattr(panoptic, "_LEAST_SCORE", 0.0)
    monkeypatch.setattr(panoptic, "_LEAST_VISIBLE", 0.0)


@pytest.fixture
def predictor(panoptic_run):
    return fastitpn.load(panoptic_run.best_checkpoint, device="cpu")


@pytest.fixture
def photos(panoptic_scenes):
    return panoptic_scenes / "val"


def test_segments_in_python(predictor, photos):
    found = predictor(photos)
    assert len(found) == 5
    one = max(found, key=lambda result: len(result.segments))
    assert isinstance(one, PanopticSegmentation)
    assert one.codes.shape == one.labels.shape == one.size[::-1]
    assert set(np.unique(one.codes)) - {IGNORE} == {segment.code for segment in one.segments}
    assert [segment.area for segment in one.segments] == [(one.codes == segment.code).sum() for segment in one.segments]
    for share in one.found:
        assert share.share == pytest.approx((one.labels == share.label).mean())
        assert 0 < share.confidence <= 1
    assert one.draw().width >= one.size[0]
    assert one.draw(32, legend=False).size[0] <= 32
    assert all(name.split(" x ")[-1] in predictor.classes for name in one.summary().split(", "))
    assert found.contact_sheet().width > 0


def test_what_is_written(panoptic_run, photos, tmp_path, capsys):
    found = fastitpn.predict(panoptic_run.directory, photos, out=tmp_path, device="cpu", workers=0)
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert len(lines) == len(found) == 5
    for one, line in zip(found, lines, strict=True):
        png = tmp_path / "panoptic" / f"{one.path.stem}.png"
        assert line["mask"] == str(png)
        ids = read_segments(png)
        assert {segment["id"] for segment in line["segments_info"]} == set(np.unique(ids)) - {0}
        assert line["segments_info"]
        for segment in line["segments_info"]:
            assert segment["area"] == (ids == segment["id"]).sum()
            left, top, width, height = segment["bbox"]
            assert (ids[top : top + height, left : left + width] == segment["id"]).sum() == segment["area"]
            assert segment["isthing"] == (segment["name"] in ("mammal", "produce", "building"))
        assert np.array_equal(ids_of_codes(one.codes, one.segments), ids)
        assert (tmp_path / "overlays" / png.name).stat().st_size > 100
    assert "segments:" in capsys.readouterr().out
    assert not (tmp_path / "masks").exists()


def test_it_can_be_trained_on(panoptic_run, photos, tmp_path):
    """The file beside the PNGs is panoptic data again, and each image has the segments that were found."""
    found = fastitpn.predict(panoptic_run.directory, photos, out=tmp_path, device="cpu", workers=0)
    images = segmentation_images(MaskFolders(data=tmp_path / "panoptic.json", images=photos, panoptic=True))
    assert images.classes.names == found[0].classes.names
    assert images.classes.things == ("mammal", "produce", "building")
    for index, one in enumerate(found):
        assert np.array_equal(images.labels(index), one.labels)
    again = fastitpn.evaluate(
        panoptic_run.directory, tmp_path / "panoptic.json", images=photos, out=tmp_path / "out", device="cpu", workers=0
    )
    assert again.metrics["pq"] == pytest.approx(100)


def test_nothing_is_found(predictor, photos, monkeypatch):
    monkeypatch.setattr(panoptic, "_LEAST_SCORE", 1.1)
    [one] = predictor(next(photos.glob("*.jpg")))
    assert (one.segments, one.found, one.summary()) == ((), (), "nothing")
    assert one.draw().size[0] > 0
    assert one.to_json()["segments_info"] == []
    assert one.frame_json()["segments_info"] == []
    assert max(one.frame().size) >= 480


def test_nothing_is_found_in_any_image(panoptic_run, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(panoptic, "_LEAST_SCORE", 1.1)
    fastitpn.predict(panoptic_run.directory, photos, out=tmp_path, device="cpu", workers=0)
    saved = json.loads((tmp_path / "panoptic.json").read_text())
    assert [annotation["segments_info"] for annotation in saved["annotations"]] == [[]] * 5


def test_frames_of_videos(predictor, photos):
    [one] = predictor(Image.new("RGB", (80, 64), "teal"))
    row = one.frame_json()
    assert all(segment["mask"]["size"] == list(one.size[::-1]) for segment in row["segments_info"])
    assert "mask" not in row
    assert max(one.frame().size) >= 480


def test_it_looks_once(panoptic_run, photos, tmp_path):
    with pytest.raises(InputError, match="not used by a panoptic network"):
        fastitpn.predict(panoptic_run.directory, photos, flip=True, out=tmp_path)
