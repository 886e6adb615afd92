"""What a file gets right: every metric that the task declares."""

import json

import pytest
import torch
from faster_coco_eval.core import mask as coco_mask
from tiny_runs import SHORT
from torch import Tensor
from torch.nn.functional import interpolate

import fastitpn
from fastitpn.data.detection.images import DetectionImages
from fastitpn.data.segmentation.panoptic_codes import LABEL_BITS
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.segment.metrics import PANOPTIC
from fastitpn.tasks.segment.model import create_segmenter

MASK_PX = 28


def exportable(run):
    trained = load_trained(run.directory)
    return TASKS.spec(trained.content["task"]).exportable(trained)


def annotated(images: DetectionImages, place: int) -> tuple[Tensor, ...]:
    """What a detector without a fault gives for an image: boxes, scores, classes and masks inside of the boxes."""
    (height, width), annotations = images.sizes[place], images.annotations(place)
    boxes = annotations.boxes / torch.tensor([width, height]).repeat(2)
    inside = torch.zeros(len(boxes), MASK_PX, MASK_PX)
    for row, box, mask in zip(inside, annotations.boxes.round().int().tolist(), annotations.masks, strict=True):
        cells = torch.from_numpy(coco_mask.decode(mask))[box[1] : box[3], box[0] : box[2]].float()
        row[:] = interpolate(cells[None, None], (MASK_PX, MASK_PX))[0, 0]
    return boxes, torch.ones(len(boxes)), annotations.labels, inside


def test_boxes_and_masks_of_a_detector(detector_run, detect_scenes):
    task = exportable(detector_run)
    pictures = task.labelled(detect_scenes)
    assert len(pictures) == 5
    outputs = [annotated(*known) for known in pictures.truth]
    scores = task.score(outputs, pictures.truth)
    assert list(scores) == [metric.name for metric in task.metrics] == ["box_ap", "mask_ap"]
    assert scores["box_ap"] == pytest.approx(100)
    assert scores["mask_ap"] > 80  # the masks are of 28 x 28 cells
    empty = [(*rest, torch.zeros_like(masks)) for *rest, masks in outputs]
    assert task.score(empty, pictures.truth) == {"box_ap": pytest.approx(100), "mask_ap": 0}


def test_segments_of_a_panoptic_network(panoptic_run, panoptic_scenes):
    task = exportable(panoptic_run)
    pictures = task.labelled(panoptic_scenes)
    outputs = []
    for read in pictures.truth:
        codes = torch.from_numpy(read())
        there = [code for code in codes.unique().tolist() if code & LABEL_BITS < len(task.classes)]
        classes, masks = torch.zeros(len(there), len(task.classes) + 1), torch.zeros(len(there), *codes.shape)
        for query, code in enumerate(there):
            classes[query, code & LABEL_BITS] = 20
            masks[query] = 20.0 * (codes == code) - 10
        outputs.append((torch.zeros(0), classes, masks))
    scores = task.score(outputs, pictures.truth)
    assert set(scores) == {metric.name for metric in PANOPTIC}
    assert scores["pq"] == pytest.approx(100)
    one_less = [(first, classes[1:], masks[1:]) for first, classes, masks in outputs]
    assert task.score(one_less, pictures.truth)["pq"] < 100


def test_a_panoptic_network_as_onnx_is_measured_by_pq(panoptic_run, panoptic_scenes, tmp_path, capsys):
    checkpoint = torch.load(panoptic_run.best_checkpoint, weights_only=True)
    checkpoint["model"]["arguments"] |= SHORT
    checkpoint["head"]["arguments"] |= {"encoder_layers": 1, "decoder_layers": 1}
    torch.manual_seed(0)
    model = create_segmenter(checkpoint["model"], checkpoint["head"], len(checkpoint["classes"]))
    torch.save({**checkpoint, "weights": model.state_dict()}, tmp_path / "a.ckpt")
    out = fastitpn.export("onnx", tmp_path / "a.ckpt", data=panoptic_scenes, limit=4, out=tmp_path / "out")
    about = json.loads((out / "model.json").read_text())
    assert about["outputs"] == ["log_probabilities", "class_logits", "mask_logits"]
    quality = about["quality"]
    assert quality["metric"] == "pq"
    assert set(quality["metrics"]) == {metric.name for metric in PANOPTIC}
    assert quality["file"] == pytest.approx(quality["model"], abs=1e-3)
    assert "pq: " in capsys.readouterr().out
