"""`fastitpn predict` for every task: images and videos streamed to files; those that cannot be read are skipped."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from fastitpn.console import say
from fastitpn.data.images.keys import ImageKeys
from fastitpn.data.images.reading import settle_range
from fastitpn.inference.predict_video import VIDEOS, predict_stream, predict_videos
from fastitpn.inference.prediction import PREDICTIONS, SHEET, Prediction
from fastitpn.inference.results import Result, Results, Skipped, none_readable, skipped_lines
from fastitpn.inference.watching import watch
from fastitpn.inference.written_pictures import find_inputs, output_names, place_in, save_picture, say_others
from fastitpn.reporting.sections import Table
from fastitpn.reporting.tables import print_table
from fastitpn.reporting.values import printable
from fastitpn.runs.output import make_folder

ResultT = TypeVar("ResultT", bound=Result)

_ROWS = 10


def run_prediction(
    prediction: Prediction[ResultT],
    source: Path | str,
    out: Path,
    *,
    image: ImageKeys = ImageKeys(),
    workers: int,
    watched: bool = False,
    timeout_s: float = 10.0,
) -> Results[ResultT]:
    """Predict images and videos, and write what the task writes, `predictions.jsonl` and `contact_sheet.png`.

    In a folder, files that cannot be read are skipped and named. Only these files are replaced in `out`.

    Args:
        prediction: The task's predictor, and what it writes of a result.
        source: An image, a video, a folder of them or a pattern; or text, the address of a stream.
        out: Folder for the results.
        image: How images are read.
        workers: Processes that load images.
        watched: Also predict the images that come into a folder, until the user stops it.
        timeout_s: Seconds to wait for a stream.

    Raises:
        InputError: There is nothing to predict, or nothing can be read.
    """
    if isinstance(source, str):
        _say_unused(prediction, images=False, videos=True)
        return replace(prediction.predictor.results(()), videos=(predict_stream(source, out, prediction, timeout_s),))
    if watched:
        prediction.predictor.pixel_range = settle_range(image, (), prediction.predictor.pixel_range)
        return watch(prediction, source, out)
    inputs = find_inputs(source, out, (SHEET, *prediction.pictures, VIDEOS))
    _say_unused(prediction, images=bool(inputs.images), videos=bool(inputs.videos))
    make_folder(out)
    results = prediction.predictor.results(())
    if inputs.images:
        predictor = prediction.predictor
        predictor.pixel_range = settle_range(image, inputs.images, predictor.pixel_range)
        results = _predict_images(prediction, inputs.images, source, out, workers)
    return replace(results, videos=predict_videos(inputs.videos, source, out, prediction))


def _predict_images(
    prediction: Prediction[ResultT], paths: Sequence[Path], source: Path, out: Path, workers: int
) -> Results[ResultT]:
    names = output_names(paths, source)
    predicted: list[ResultT] = []
    skipped: list[Skipped] = []
    stream = prediction.predictor.stream(
        paths,
        batch=prediction.batch,
        workers=workers,
        on_error="stop" if source.is_file() else "skip",
        progress=len(paths) > prediction.frames,
        **prediction.options,
    )
    for item in stream:
        if isinstance(item, Skipped):
            skipped.append(item)
        else:
            predicted.append(prediction.write(item, out, names[item.index]))
    results = prediction.predictor.results(tuple(predicted), tuple(skipped))
    if not results:
        raise none_readable(results.skipped, len(paths))
    if prediction.pictures:
        say_others(out / prediction.pictures[0], [names[result.index] for result in results])
    results.to_json_lines(out / PREDICTIONS)
    prediction.finish(results, source, out)
    save_picture(results.contact_sheet(), out / SHEET)
    _print(prediction, results, source, out)
    for line in prediction.write_more(results, source, out):
        say(line)
    return results


def _print(prediction: Prediction[ResultT], results: Results[ResultT], source: Path, out: Path) -> None:
    rows = [
        (str(place_in(source, result.path)), *prediction.row(result))
        for result in results[:_ROWS]
        if result.path is not None
    ]
    more = f"and {len(results) - _ROWS} more" if len(results) > _ROWS else ""
    print_table(Table("Predictions", ("image", *prediction.heads()), rows, caption=more))
    for line in skipped_lines(results.skipped):
        say(printable(line))
    for line in prediction.closing(results, source, out):
        say(line)


def _say_unused(prediction: Prediction[Any], *, images: bool, videos: bool) -> None:
    """Prints what was asked for and is of no use for such a source."""
    if videos and (others := [name for name in prediction.write_as if name != "csv"]):
        say(f"write={','.join(others)} is for images: of videos there are lines of JSON, and with write=csv a table")
    if images and not videos and prediction.for_videos:
        say(f"{prediction.for_videos} is only for videos, but the source has no video")
