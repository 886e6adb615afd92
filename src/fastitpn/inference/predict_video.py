"""Videos in `fastitpn predict`: each becomes a video with the predictions, and a file with a line for each frame."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

from fastitpn.console import say
from fastitpn.data.images.newest_frames import NewestFrames
from fastitpn.data.images.streams import EXPECTED, open_stream, stream_file, stream_name
from fastitpn.data.images.videos import Frame, Video, open_video
from fastitpn.errors import InputError
from fastitpn.files import replacing
from fastitpn.inference.csv_table import csv_table
from fastitpn.inference.prediction import Prediction
from fastitpn.inference.results import Skipped, VideoPrediction
from fastitpn.inference.video_writer import VideoWriter
from fastitpn.inference.written_pictures import output_names, place_in
from fastitpn.reporting.sections import Table
from fastitpn.reporting.tables import print_table
from fastitpn.reporting.values import printable
from fastitpn.runs.output import make_folder
from fastitpn.training.progress import ProgressDisplay

VIDEOS = "predicted_videos"
_COMPLETE = "a complete video file"


def predict_videos(
    paths: Sequence[Path], source: Path, out: Path, prediction: Prediction[Any]
) -> tuple[VideoPrediction, ...]:
    """Writes `predicted_videos/NAME.mp4` and `NAME.jsonl` for each video, and prints a table of them.

    One frame after the other is read, so that a video may be as long as it likes. Of a damaged video, and where the
    user stops it, the frames so far are kept.

    Raises:
        InputError: The video, given by itself, is damaged; or all of them are.
    """
    if not paths:
        return ()
    done: list[VideoPrediction] = []
    rows: list[tuple[Any, ...]] = []
    for path, name in zip(paths, output_names(paths, source, ".mp4"), strict=True):
        started = time.perf_counter()
        try:
            written = _predict_video(open_video(path), path, out / VIDEOS / name, prediction)
        except InputError as error:
            if source.is_file() or error.where != path:
                raise
            say(printable(f"skipped: {path}: {error.what}"), error=True)
            continue
        if about := prediction.about_video():
            say(f"{name}: {about}")
        if (reuse := prediction.reuse) and reuse.total:
            say(f"{name}: {reuse.computed / reuse.total:.0%} of the tokens were computed")
        if written.problem:
            _tell(written, alone=source.is_file())
        done.append(written)
        speed = written.frames / (time.perf_counter() - started)
        rows.append((str(place_in(source, path)), written.frames, speed, str(written.video)))
    if not done:
        raise InputError(f"none of the {len(paths)} videos can be read", where=source, expected=_COMPLETE)
    print_table(Table("Videos", ("video", "frames", "frames per s", "with the predictions"), rows))
    say(f"beside each of them, the predictions of each frame: {done[0].lines.name}" + ", ..." * (len(done) > 1))
    return tuple(done)


def predict_stream(address: str, out: Path, prediction: Prediction[Any], timeout_s: float) -> VideoPrediction:
    """Writes `predicted_videos/NAME.mp4` and `NAME.jsonl` of a camera or stream, until it ends or the user stops it.

    Raises:
        InputError: It does not answer, or no more; the frames before are kept.
    """
    name, place = stream_name(address), out / VIDEOS / f"{stream_file(address)}.mp4"
    say(f"reading {name}, until it ends or Ctrl-C")
    written = _predict_video(open_stream(address, timeout_s), Path(name), place, prediction, live=True)
    if written.problem:
        kept = f"the {written.frames} frames before are kept: {written.video}"
        raise InputError(written.problem, where=name, expected=EXPECTED, fix=kept)
    if about := prediction.about_video():
        say(about)
    say(f"{written.frames} frames: {written.video}, with the predictions of each frame in {written.lines}")
    return written


def _predict_video(
    opened: AbstractContextManager[Video], path: Path, place: Path, prediction: Prediction[Any], *, live: bool = False
) -> VideoPrediction:
    make_folder(place.parent)
    prediction.begin_video()
    lines = place.with_suffix(".jsonl")
    with (
        opened as video,
        replacing(place) as picture_file,
        replacing(lines) as line_file,
        csv_table(place.with_suffix(".csv")) if "csv" in prediction.write_as else nullcontext() as table,
    ):
        frames = 0
        interrupted = False
        with (
            VideoWriter(picture_file, video.rate) as writer,
            prediction.reuse or nullcontext(),
            ProgressDisplay(f"predicting {path.name}", step=0, steps=video.num_frames) as display,
            NewestFrames(video) if video.live else nullcontext(video) as source,
        ):
            try:
                for batch in _batches(source, 1 if video.live else prediction.frames):
                    if prediction.reuse:
                        prediction.reuse.next_frame()
                    images = [frame.image for frame in batch]
                    results = prediction.predictor.stream(images, batch=prediction.frames, **prediction.frame_options)
                    for frame, result in zip(batch, results, strict=True):
                        assert not isinstance(result, Skipped)
                        result = prediction.next_frame(result)
                        writer.write(result.frame(), frame.time_s)
                        _write_line(line_file, frame, result.frame_json())
                        if table:
                            table.add({"frame": frame.index, "time_s": round(frame.time_s, 6)}, result)
                        frames += 1
                        display.advance(frames)
            except KeyboardInterrupt:
                interrupted = True
        if not frames:
            if interrupted:
                raise KeyboardInterrupt
            raise InputError(video.problem or "this video has no frames", where=path, expected=_COMPLETE)
    if isinstance(source, NewestFrames) and source.dropped:
        arrived = frames + source.dropped
        say(f"{source.dropped} of {arrived} frames skipped, since newer ones came while the model worked", error=True)
    if interrupted:
        say(f"\nstopped after {frames} frames, which are kept: {place}", error=True)
        if not live:  # a stream has no other end
            raise KeyboardInterrupt
    return VideoPrediction(path=path, video=place, lines=lines, frames=frames, problem=video.problem)


def _batches(video: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    batch: list[Frame] = []
    for frame in video:
        batch.append(frame)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _write_line(file: IO[bytes], frame: Frame, fields: dict[str, Any]) -> None:
    row = {"frame": frame.index, "time_s": round(frame.time_s, 6), **fields}
    file.write((json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"))


def _tell(written: VideoPrediction, *, alone: bool) -> None:
    """Says where a video is damaged.

    Raises:
        InputError: It is all that was asked for.
    """
    kept = f"the {written.frames} frames before are kept: {written.video}"
    if alone:
        raise InputError(written.problem or "", where=written.path, expected=_COMPLETE, fix=kept)
    say(printable(f"{written.path}: {written.problem}; {kept}"), error=True)
