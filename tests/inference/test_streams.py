"""Cameras and streams: what they show is predicted until they end, and no error is a traceback."""

import http.server
import json
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import av
import pytest
from video_example import moving, write_video

import fastitpn
from fastitpn.cli.main import main
from fastitpn.config import build
from fastitpn.data.images.newest_frames import NewestFrames
from fastitpn.data.images.streams import Stream, _is_live, open_stream, stream_file, stream_name
from fastitpn.errors import InputError
from fastitpn.inference.predictor import ImagePredictor
from fastitpn.tasks.keys import PredictConfig

KEYS = {"device": "cpu", "workers": 0}


@pytest.fixture
def clip(tmp_path):
    """A video of 20 frames that can be read from its beginning, as a stream is."""
    path = tmp_path / "clip.ts"
    with av.open(write_video(tmp_path / "clip.mp4", moving(20))) as given, av.open(path, "w", format="mpegts") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    return path.read_bytes()


@contextmanager
def served(content: bytes, *, hangs: bool = False):
    """A server on this machine that sends bytes, and then perhaps neither more nor an end."""
    done = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if content or not hangs:
                self.send_response(200)
                self.send_header("Content-Type", "video/mp2t")
                self.end_headers()
                self.wfile.write(content)
                self.wfile.flush()
            if hangs:
                done.wait(20)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/live"
    finally:
        done.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def without_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_a_stream_is_predicted_until_it_ends(checkpoint, clip, tmp_path, capsys):
    with served(clip) as address:
        [video] = fastitpn.predict(checkpoint, address, out=tmp_path / "out", **KEYS).videos
    assert (video.frames, video.problem) == (20, None)
    assert len(video.lines.read_text().splitlines()) == 20
    with av.open(video.video) as made:
        assert sum(1 for _ in made.decode(video=0)) == 20
    assert "20 frames: " in capsys.readouterr().out


def test_a_stream_that_stops_answering_keeps_what_it_showed(checkpoint, clip, tmp_path, capsys):
    out = tmp_path / "out"
    with served(clip[: len(clip) * 2 // 3], hangs=True) as address:
        words = ["predict", str(checkpoint), address, f"out={out}", "device=cpu", "timeout_s=0.5", "batch=1"]
        assert main(words) == 2
    said = capsys.readouterr().err
    assert "the stream ends after frame" in said
    assert "no answer for 0.5 s" in said
    assert "http://127.0.0.1" in said
    assert "Traceback" not in said
    [lines] = out.rglob("*.jsonl")
    frames = [json.loads(line)["frame"] for line in lines.read_text().splitlines()]
    assert frames == list(range(len(frames)))
    assert 0 < len(frames) < 20
    assert f"the {len(frames)} frames before are kept" in said


def test_a_stream_that_never_answers(checkpoint, tmp_path):
    with served(b"", hangs=True) as address, pytest.raises(InputError) as caught:
        fastitpn.predict(checkpoint, address, out=tmp_path / "out", timeout_s=0.3, **KEYS)
    assert caught.value.what == "cannot read this stream: no answer for 0.3 s"
    assert caught.value.fix == "check the address, or timeout_s=60 to wait longer"


@pytest.mark.parametrize(("sent", "text"), [(b"text", "cannot read this stream"), (None, "Connection refused")])
def test_what_is_no_stream(sent, text, checkpoint, tmp_path):
    with served(b"") as address:
        pass
    with served(sent or b"") as other, pytest.raises(InputError, match=text):
        fastitpn.predict(checkpoint, other if sent else address, out=tmp_path / "out", timeout_s=5, **KEYS)


def test_ctrl_c_ends_a_stream_cleanly(checkpoint, clip, tmp_path, monkeypatch, capsys):
    frames = Stream.__iter__

    def interrupted(stream):
        for frame in frames(stream):
            if frame.index == 6:
                raise KeyboardInterrupt
            yield frame

    monkeypatch.setattr(Stream, "__iter__", interrupted)
    with served(clip) as address:
        words = ["predict", str(checkpoint), address, f"out={tmp_path / 'out'}", "device=cpu", "batch=2"]
        assert main(words) == 0
    said = capsys.readouterr()
    assert "stopped after 6 frames, which are kept" in said.err
    assert "6 frames: " in said.out


def test_a_camera_that_is_not_there(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(InputError, match="there is no camera 97"):
        fastitpn.predict(checkpoint, 97, out=tmp_path / "out", **KEYS)


def test_sources_that_are_streams_and_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").mkdir()

    def source(given):
        return build(PredictConfig, {"checkpoint": "a.ckpt", "source": given}).source

    for stream in ("0", "rtsp://10.0.0.2/live/", "http://a.b/c?d=1"):
        assert source(stream) == stream
    assert source(0) == "0"
    for path in ("7", "photos", "rtsp", tmp_path, "ftp://a/b"):
        assert source(path) == type(tmp_path)(path)
    with pytest.raises(InputError, match="watch: expected false for a stream, got true and source=0"):
        build(PredictConfig, {"checkpoint": "a.ckpt", "source": "0", "watch": True})


def test_a_password_is_written_nowhere():
    address = "rtsp://me:secret@camera.local:554/live?token=secret"
    assert stream_name(address) == "rtsp://camera.local:554/live"
    assert stream_file(address) == "rtsp_camera.local_554_live"
    assert stream_file("0") == "camera_0"
    with pytest.raises(InputError) as caught, open_stream("http://me:secret@127.0.0.1:9/live", 2):
        pass
    assert "secret" not in str(caught.value)


def test_a_slow_model_predicts_the_newest_frame_of_a_camera(checkpoint, clip, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("fastitpn.data.images.streams._is_live", lambda *_: True)
    predict = ImagePredictor.stream

    def slow(*given, **options):
        time.sleep(0.1)
        return predict(*given, **options)

    monkeypatch.setattr(ImagePredictor, "stream", slow)
    with served(clip) as address:
        [video] = fastitpn.predict(checkpoint, address, out=tmp_path / "out", **KEYS).videos
    frames = [json.loads(line)["frame"] for line in video.lines.read_text().splitlines()]
    assert frames == sorted(set(frames))
    assert (frames[-1], video.frames) == (19, len(frames))
    assert 0 < len(frames) < 20
    assert f"{20 - len(frames)} of 20 frames skipped, since newer ones came" in capsys.readouterr().err


def test_the_newest_frame_is_given_and_the_others_are_counted():
    taken = threading.Event()

    def source():
        yield 0
        taken.wait(10)
        yield from range(1, 5)

    with NewestFrames(source()) as newest:
        frames = iter(newest)
        assert next(frames) == 0
        taken.set()
        newest._thread.join()
        assert list(frames) == [4]
    assert newest.dropped == 3


def test_what_goes_wrong_while_reading_is_raised_where_frames_are_asked_for():
    def source():
        yield 0
        raise InputError("the camera burns")

    with NewestFrames(source()) as newest, pytest.raises(InputError, match="the camera burns"):
        list(newest)


@pytest.mark.parametrize(
    ("address", "form", "duration", "live"),
    [
        ("0", "video4linux2,v4l2", None, True),
        ("rtsp://a/b", "rtsp", None, True),
        ("http://a/camera", "mpjpeg", None, True),
        ("http://a/live.m3u8", "hls", None, True),
        ("HTTP://a/film.m3u8", "hls", 9_000_000, False),
        ("https://a/film.ts", "mpegts", None, False),
    ],
)
def test_which_sources_are_live(address, form, duration, live):
    container = SimpleNamespace(duration=duration, format=SimpleNamespace(name=form))
    assert _is_live(address, container) is live
