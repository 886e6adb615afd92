"""COCO's figures: average precision of boxes and masks, by faster_coco_eval, which counts as pycocotools does."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from faster_coco_eval import COCO
from faster_coco_eval import COCOeval_faster as CocoEvaluation
from faster_coco_eval.core import mask as coco_mask
from torch import Tensor

from fastitpn.data.detection.annotations import DetectionClasses, Rle
from fastitpn.tasks.detect.heads.base import Detections

_KINDS = {"box": "bbox", "mask": "segm"}
_AREAS = ("small", "medium", "large")
_AP50, _AP75 = 0, 5
"""Places among the overlaps 0.5, 0.55 ... 0.95."""


class CocoScores:
    """Collects annotations and detections image by image, and compares the two.

    Args:
        classes: Names and ids that the labels stand for.
    """

    def __init__(self, classes: DetectionClasses) -> None:
        self.classes = classes
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._results: list[dict[str, Any]] = []
        self._evaluations: dict[str, CocoEvaluation] = {}
        self._kinds: set[str] = set(_KINDS)

    def add(self, batch: Mapping[str, Any], detections: Sequence[Detections]) -> None:
        """Takes the detections of a batch.

        Args:
            batch: Samples of `DetectEvaluationDataset`, put together by `collate_detect`.
            detections: Boxes, scores, labels and perhaps masks of each image, at its original size.
        """
        self._evaluations.clear()
        if "masks" not in batch or any("masks" not in of_image for of_image in detections):
            self._kinds.discard("mask")
        for number, of_image in enumerate(detections):
            image_id, (height, width) = int(batch["image_id"][number]), batch["size"][number]
            self._images.append({"id": image_id, "height": int(height), "width": int(width)})
            self._annotations += self._annotations_of(batch, number, image_id)
            self._results += coco_results(of_image, image_id, self.classes)

    def _annotations_of(self, batch: Mapping[str, Any], number: int, image_id: int) -> list[dict[str, Any]]:
        labels, crowd, area = (batch[key][number].tolist() for key in ("labels", "crowd", "area"))
        first = len(self._annotations) + 1  # numbered anew: COCO's tools take one with the id 0 for not found
        annotations = [
            {
                "id": first + place,
                "image_id": image_id,
                "category_id": self.classes.ids[labels[place]],
                "bbox": box,
                "area": area[place],
                "iscrowd": int(crowd[place]),
            }
            for place, box in enumerate(_corner_and_size(batch["boxes"][number]))
        ]
        for annotation, mask in zip(annotations, batch["masks"][number] if "masks" in batch else (), strict=False):
            annotation["segmentation"] = _plain(mask)
        return annotations

    def select(self, places: Sequence[int]) -> "CocoScores":
        """Those of the images at these positions alone, each named once."""
        selected = CocoScores(self.classes)
        selected._images = [self._images[place] for place in places]
        selected._kinds = self._kinds
        numbers = {image["id"] for image in selected._images}
        selected._annotations = [entry for entry in self._annotations if entry["image_id"] in numbers]
        selected._results = [entry for entry in self._results if entry["image_id"] in numbers]
        return selected

    @property
    def truth(self) -> dict[str, Any]:
        """The annotations, as COCO's files have them."""
        categories = [
            {"id": number, "name": name} for number, name in zip(self.classes.ids, self.classes.names, strict=True)
        ]
        return {"info": {}, "images": self._images, "annotations": self._annotations, "categories": categories}

    def results(self) -> list[dict[str, Any]]:
        """The detections as COCO's results: image_id, category_id, bbox, score, and with masks segmentation."""
        return list(self._results)

    def figures(self) -> dict[str, float]:
        """In percent: average precision and recall of boxes and, where there are any, of masks.

        Returns:
            box_ap (the mean over the overlaps 0.5 to 0.95), box_ap50, box_ap75, box_ap_small (below 32 x 32 px),
            box_ap_medium, box_ap_large (from 96 x 96 px), box_ar (recall in 100 detections); and mask_ap and so on.
            Sizes of which there is nothing are left out.
        """
        figures: dict[str, float] = {}
        for kind in self._used_kinds():
            precision, recall = (self._evaluation(kind).eval[name] for name in ("precision", "recall"))
            values = {  # [overlap, recall, class, area, most detections]
                "ap": _mean(precision[:, :, :, 0, -1]) or 0.0,
                "ap50": _mean(precision[_AP50, :, :, 0, -1]) or 0.0,
                "ap75": _mean(precision[_AP75, :, :, 0, -1]) or 0.0,
                **{f"ap_{area}": _mean(precision[:, :, :, place + 1, -1]) for place, area in enumerate(_AREAS)},
                "ar": _mean(recall[:, :, 0, -1]) or 0.0,  # [overlap, class, area, most detections]
            }
            figures |= {f"{kind}_{name}": value for name, value in values.items() if value is not None}
        return figures

    def class_figures(self) -> dict[str, dict[str, float]]:
        """`box_ap`, `box_ap50` and those of masks, by the name of the class; without those that are nowhere."""
        figures: dict[str, dict[str, float]] = {}
        for kind in self._used_kinds():
            evaluation = self._evaluation(kind)
            places = {int(number): place for place, number in enumerate(evaluation.params.catIds)}
            for name, number in zip(self.classes.names, self.classes.ids, strict=True):
                precision = evaluation.eval["precision"][:, :, places[number], 0, -1]
                for figure, value in ((f"{kind}_ap", _mean(precision)), (f"{kind}_ap50", _mean(precision[_AP50]))):
                    if value is not None:
                        figures.setdefault(name, {})[figure] = value
        return figures

    def precision_recall(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Of boxes at an overlap of 0.5: precision and least score at the recalls 0, 0.01 ... 1, for each class.

        Classes without objects are left out; a recall that is not reached has the precision and the score 0.
        """
        evaluation = self._evaluation("box")
        places = {int(number): place for place, number in enumerate(evaluation.params.catIds)}
        curves = {}
        for name, number in zip(self.classes.names, self.classes.ids, strict=True):
            precision, score = (
                evaluation.eval[key][_AP50, :, places[number], 0, -1] for key in ("precision", "scores")
            )
            if (precision > -1).any():
                curves[name] = (precision, np.maximum(score, 0.0))
        return curves

    def _used_kinds(self) -> list[str]:
        return [kind for kind in _KINDS if kind in self._kinds]

    def _evaluation(self, kind: str) -> CocoEvaluation:
        if kind not in self._evaluations:
            evaluation = CocoEvaluation(*self._both(kind), _KINDS[kind], print_function=lambda *_: None)
            evaluation.evaluate()
            evaluation.accumulate()
            self._evaluations[kind] = evaluation
        return self._evaluations[kind]

    def _both(self, kind: str) -> tuple[COCO, COCO]:
        """Annotations and detections, as COCO's tools take them."""
        truth = COCO({**self.truth, "annotations": [dict(annotation) for annotation in self._annotations]})
        # With boxes beside the masks, COCO's tools would take the areas of the boxes for those of the masks.
        results = [{k: v for k, v in result.items() if k != "bbox" or kind == "box"} for result in self._results]
        if not results:
            return truth, COCO({**self.truth, "annotations": []})
        return truth, truth.loadRes(results)


def coco_results(detections: Detections, image_id: int, classes: DetectionClasses) -> list[dict[str, Any]]:
    """Detections of one image, as COCO's results have them; plain types alone."""
    results = [
        {"image_id": image_id, "category_id": classes.ids[label], "bbox": box, "score": score}
        for label, box, score in zip(
            detections["labels"].tolist(),
            _corner_and_size(detections["boxes"]),
            detections["scores"].tolist(),
            strict=True,
        )
    ]
    if "masks" in detections:
        for result, mask in zip(results, encode_masks(detections["masks"]), strict=True):
            result["segmentation"] = _plain(mask)
    return results


def encode_masks(masks: Tensor) -> list[Rle]:
    """Packs masks bool [n, H, W], one by one: together they would take their memory twice more."""
    columns = (np.asfortranarray(mask.to(torch.uint8).cpu().numpy()) for mask in masks)
    return [coco_mask.encode(column) for column in columns]


def _corner_and_size(boxes: Tensor) -> list[list[float]]:
    """Corners to left, top, width and height."""
    left_top, right_bottom = boxes.double().cpu().split(2, -1)
    return [
        [*corner, *size] for corner, size in zip(left_top.tolist(), (right_bottom - left_top).tolist(), strict=True)
    ]


def _plain(mask: Rle) -> Rle:
    """With text in place of bytes, as in JSON."""
    counts = mask["counts"]
    return {
        "size": [int(side) for side in mask["size"]],
        "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts,
    }


def _mean(values: np.ndarray) -> float | None:
    """The mean in percent; None if there are no objects: COCO's tools put -1 there."""
    counted = values[values > -1]
    return 100 * float(counted.mean()) if counted.size else None
