"""Labels of another kind than a head learns from: named, with what to type; and more objects than it has queries."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boxes_example import write_voc, write_yolo
from coco_example import write
from tiny_runs import TRAINING

from fastitpn.config import build
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.errors import InputError
from fastitpn.tasks.diagnosing import open_dataset
from fastitpn.tasks.registry import TASKS


def coco_boxes(data: Path) -> Path:
    return write(data, lambda made: [annotation.pop("segmentation") for annotation in made["annotations"]])


def yolo_boxes(data: Path) -> Path:
    (write_yolo(data) / "labels" / "train" / "a.txt").write_text("1 0.5 0.5 0.2 0.5\n")
    return data


def box_table(data: Path) -> Path:
    (write_voc(data / "voc") / "JPEGImages").rename(data / "images")
    (data / "boxes.csv").write_text("image,xmin,ymin,xmax,ymax,label\na.jpg,1,1,9,9,dog\nb.jpg,1,1,9,9,dog\n")
    return data


BOXES = [coco_boxes, yolo_boxes, write_voc, box_table]
FOR_BOXES = "finetune detect detector=faster_rcnn or dino, which need only boxes"


def opened(task: str, data: Path, **keys: Any) -> Any:
    spec: Any = TASKS.spec(task)
    val = {"val": data} if data.is_file() else {"val_ratio": 0.4}
    return spec.open_data(build(TASKS.keys_of(task).train, {"data": data, **TRAINING, **val, **keys}))


@pytest.mark.parametrize("write_it", BOXES)
def test_boxes_alone_for_a_segmentation(tmp_path, write_it: Callable[[Path], Path]):
    data = write_it(tmp_path / "data")
    with pytest.raises(
        InputError, match=r"only boxes \(\d+ of them\)|has boxes \(.*\), and no masks of pixels"
    ) as caught:
        opened("segment", data)
    assert caught.value.fix == FOR_BOXES
    with pytest.raises(InputError) as of_doctor:
        open_dataset(build(DoctorConfig, {"data": data, "task": "segment"}))
    assert of_doctor.value.fix == FOR_BOXES
    with pytest.raises(InputError, match="there are no panoptic annotations") as of_panoptic:
        opened("segment", data, panoptic=True, head={"name": "maskdino"})
    assert "finetune detect for objects only" in of_panoptic.value.fix


@pytest.mark.parametrize("write_it", BOXES)
@pytest.mark.parametrize("detector", ["mask_rcnn", "cascade_mask_rcnn", "mask2former", "maskdino"])
def test_boxes_alone_for_a_detector_with_masks(tmp_path, write_it: Callable[[Path], Path], detector):
    data = write_it(tmp_path / "data")
    with pytest.raises(InputError, match=r"no annotation of this file has a mask, only boxes \(\d of them\)") as caught:
        opened("detect", data, detector={"name": detector})
    assert caught.value.fix == FOR_BOXES
    assert len(opened("detect", data, detector={"name": "dino"}).train)


def test_masks_of_pixels_for_a_detector(segment_scenes, panoptic_scenes):
    for detector in ("dino", "maskdino"):
        with pytest.raises(InputError, match=r"masks of pixels \(images with masks\), and no boxes") as caught:
            opened("detect", segment_scenes, detector={"name": detector})
        assert caught.value.fix == f"finetune segment data={segment_scenes}"
    with pytest.raises(InputError, match=r"masks of pixels \(COCO panoptic\), and no boxes"):
        opened("detect", panoptic_scenes)
    with pytest.raises(InputError, match="this is COCO's panoptic format") as caught:
        opened("detect", next(panoptic_scenes.glob("**/panoptic_train*.json")))
    assert "finetune segment panoptic=true head=maskdino" in caught.value.fix
    with pytest.raises(InputError, match="masks of pixels"):
        open_dataset(build(DoctorConfig, {"data": segment_scenes, "task": "detect"}))


@pytest.mark.parametrize(
    ("scenes", "keys", "line"),
    [
        (
            "panoptic_scenes",
            {"panoptic": True, "head": {"name": "maskdino", "queries": 2, "layers": 1}},
            "of 10 images",
        ),
        ("panoptic_scenes", {"panoptic": True, "head": {"name": "mask2former", "queries": 2}}, "of 10 images"),
        ("segment_scenes", {"head": {"name": "maskdino", "queries": 1, "layers": 1}}, "of 10 images"),
        ("segment_scenes", {"head": {"name": "maskdino", "queries": 9, "layers": 1}}, None),
    ],
    ids=["panoptic", "mask2former", "semantic", "enough"],
)
def test_more_objects_than_queries_are_said(scenes, keys, line, request, capsys):
    spec: Any = TASKS.spec("segment")
    config = build(TASKS.keys_of("segment").train, {"data": request.getfixturevalue(scenes), **TRAINING, **keys})
    split = spec.open_data(config)
    capsys.readouterr()
    spec.build(config, split)
    said = capsys.readouterr().out.replace("\n", " ")
    assert ("more objects than the" in said) == (line is not None)
    if line is not None:
        assert line in said
        assert "the rest of them teach nothing: head.queries=" in said


def test_segments_are_counted(panoptic_scenes):
    images = opened("segment", panoptic_scenes, panoptic=True, head={"name": "mask2former"}).train
    by_pixels = [
        len({code for code in images.codes(place).ravel().tolist() if code & 255 != 255}) for place in range(10)
    ]
    assert images.masks.num_segments == by_pixels
    assert max(by_pixels) > 2
