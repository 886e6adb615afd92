"""`fastitpn predict` for segmentation: index masks and overlays of an image, or of all images in a folder."""

import dataclasses
from collections import Counter
from pathlib import Path

from PIL import Image

from fastitpn.config import PredictConfig
from fastitpn.engine.atomic import replacing
from fastitpn.engine.evaluate_segment import views_of
from fastitpn.engine.output import make_folder
from fastitpn.engine.trained_model import TrainedCheckpoint
from fastitpn.engine.trained_segmenter import load_segmenter
from fastitpn.errors import InputError
from fastitpn.inference.results import Skipped, none_readable, skipped_lines
from fastitpn.inference.segment_predictor import SegmentPredictor
from fastitpn.inference.segment_results import Segmentation, Segmentations
from fastitpn.inference.sources import collect_sources
from fastitpn.reporting.sections import Table
from fastitpn.reporting.tables import print_table
from fastitpn.reporting.values import printable

PREDICTIONS, SHEET, MASKS, OVERLAYS = "predictions.jsonl", "contact_sheet.png", "masks", "overlays"
_ROWS = 10
_OVERLAY_PX = 2048


def run_predict_segment(config: PredictConfig, checkpoint: TrainedCheckpoint) -> Segmentations:
    """Predict, and write masks/*.png, overlays/*.png, `predictions.jsonl` and `contact_sheet.png`.

    In a folder, files that cannot be read are skipped and named. The labels in the results are read from the masks
    when they are asked for, so that a folder may be as long as it likes.

    Raises:
        InputError: The checkpoint or the source does not fit, or no image can be read.
    """
    if config.top_k != type(config).__dataclass_fields__["top_k"].default:
        raise InputError("top_k: of no use for a checkpoint of the task 'segment'", fix="leave it out")
    segmenter = load_segmenter(checkpoint, config.acceleration)
    views = views_of(config, segmenter)
    paths = _images(config)
    make_folder(config.out)
    predictor = SegmentPredictor.of(segmenter, views, device=config.device, precision=config.precision)
    names = _names(paths, config.source)
    results, skipped = [], []
    on_error = "skip" if config.source.is_dir() else "stop"
    for one in predictor.stream(paths, workers=config.workers, on_error=on_error, progress=len(paths) > 1):  # type: ignore[arg-type]
        if isinstance(one, Skipped):
            skipped.append(one)
        else:
            results.append(_write(one, config.out, names[one.index]))
    predictions = Segmentations(tuple(results), tuple(skipped))
    if not predictions:
        raise none_readable(predictions.skipped, len(paths))
    predictions.to_json_lines(config.out / PREDICTIONS)
    _save(predictions.contact_sheet(), config.out / SHEET)
    _print(predictions, config)
    return predictions


def _images(config: PredictConfig) -> list[Path]:
    """The images to predict; where `out` is inside of the source, what an earlier call wrote is none of them."""
    found = [source.path for source in collect_sources(config.source) if source.path is not None]
    if not config.source.is_dir():
        return found
    out = config.out.resolve()
    own = {out / SHEET, *(path for folder in (MASKS, OVERLAYS) for path in (out / folder).rglob("*.png"))}
    return [path for path in found if path.resolve() not in own]


def _names(paths: list[Path], source: Path) -> list[Path]:
    """For each image the name of what is written of it: its place in the source, ending in .png."""
    places = [path.relative_to(source) if source.is_dir() else Path(path.name) for path in paths]
    counts = Counter(place.with_suffix("") for place in places)
    return [
        place.with_suffix(".png") if counts[place.with_suffix("")] == 1 else place.with_name(f"{place.name}.png")
        for place in places
    ]


def _write(one: Segmentation, out: Path, name: Path) -> Segmentation:
    """The same, with its labels on the disk."""
    mask = out / MASKS / name
    _save(one.index_image(), mask)
    _save(one.draw(_OVERLAY_PX), out / OVERLAYS / name)
    return dataclasses.replace(one, mask=mask)


def _save(picture: Image.Image, path: Path) -> None:
    make_folder(path.parent)
    with replacing(path) as file:
        picture.save(file, "PNG")


def _print(predictions: Segmentations, config: PredictConfig) -> None:
    rows = [
        (str(_shown(one, config.source)), f"{one.size[0]}x{one.size[1]}", one.summary()) for one in predictions[:_ROWS]
    ]
    more = f"and {len(predictions) - _ROWS} more" if len(predictions) > _ROWS else ""
    print_table(Table("Predictions", ("image", "px", "largest classes"), rows, caption=more))
    for line in skipped_lines(predictions.skipped):
        print(printable(line))
    print(f"masks: {config.out / MASKS}, overlays: {config.out / OVERLAYS}, shares: {config.out / PREDICTIONS}")


def _shown(one: Segmentation, source: Path) -> Path:
    assert one.path is not None
    return one.path.relative_to(source) if source.is_dir() else Path(one.path.name)
