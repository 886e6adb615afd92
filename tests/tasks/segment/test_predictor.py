"""From a checkpoint of a segmentation to the class of each pixel."""

import dataclasses

import numpy as np
import pytest
import torch

import fastitpn
from fastitpn.errors import InputError
from fastitpn.inference.sources import collect_sources
from fastitpn.tasks.segment.predictor import SegmentPredictor
from fastitpn.tasks.segment.results import Segmentation, Segmentations

NAMES = ("background", "mammal", "produce", "building")


@pytest.fixture(scope="module")
def predictor(segmenter_run) -> SegmentPredictor:
    predictor = fastitpn.load(segmenter_run.directory, device="cpu")
    assert isinstance(predictor, SegmentPredictor)
    return predictor


def test_what_is_loaded(predictor):
    assert predictor.classes == NAMES
    assert (predictor.views.px, predictor.views.resize) == (32, True)
    assert repr(predictor) == "SegmentPredictor(4 classes, 32 px, on cpu)"


def test_labels_have_the_size_of_their_image(predictor, photos):
    results = predictor(list(photos.values()))
    assert isinstance(results, Segmentations)
    for one, picture in zip(results, photos.values(), strict=True):
        assert one.size == picture.size
        assert one.labels.shape == (picture.height, picture.width)
        assert one.labels.dtype == np.uint8
        assert one.labels.max() < 4
        counts = np.bincount(one.labels.ravel(), minlength=4)
        assert [found.label for found in one.found] == [i for i in np.argsort(-counts, kind="stable") if counts[i]]
        assert sum(found.share for found in one.found) == pytest.approx(1)
        assert all(0 < found.confidence <= 1 and found.name == NAMES[found.label] for found in one.found)


def test_files_arrays_and_tensors_give_the_same(predictor, photos, tmp_path):
    picture = photos["coffee"].convert("RGB")
    picture.save(tmp_path / "a.png")
    array = np.asarray(picture)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    results = predictor([tmp_path / "a.png", picture, array, tensor])
    assert results[0].path == tmp_path / "a.png"
    for one in results[1:]:
        assert one.path is None
        assert np.array_equal(one.labels, results[0].labels)


def test_large_images_are_seen_through_windows(predictor, photos):
    picture = photos["chelsea"].resize((180, 130))
    seen = []
    model = predictor._model
    original = model.log_probabilities
    try:
        model.log_probabilities = lambda images: seen.append(tuple(images.shape)) or original(images)
        views = dataclasses.replace(predictor.views, resize=False, batch=6)
        [one] = predictor(picture, views=views)
    finally:
        del model.log_probabilities
    assert one.labels.shape == (130, 180)
    assert all(shape[2:] == (32, 32) and shape[0] <= 6 for shape in seen)
    assert len(seen) > 3


def test_a_stream_holds_one_image_at_a_time_and_tells_what_it_skips(predictor, folder):
    (folder / "near" / "broken.png").write_text("text")
    stream = predictor.stream(folder, on_error="skip")
    assert isinstance(next(stream), Segmentation)
    rest = list(stream)
    assert len(rest) == 5
    results = predictor(folder, on_error="skip")
    assert (len(results), [one.name for one in results.skipped]) == (5, [str(folder / "near" / "broken.png")])
    with pytest.raises(InputError, match="1 of 6 images cannot be read"):
        predictor(folder)
    with pytest.raises(InputError, match="on_error is 'ignore'"):
        predictor(folder, on_error="ignore")


def test_workers_change_nothing(predictor, photos, tmp_path):
    for number in range(9):
        photos["coffee"].rotate(number).save(tmp_path / f"{number}.png")
    alone, helped = (predictor(tmp_path, workers=workers) for workers in (0, 1))
    assert [one.to_json() for one in alone] == [one.to_json() for one in helped]


class TestResults:
    @pytest.fixture
    def one(self, predictor, photos) -> Segmentation:
        [one] = predictor(photos["astronaut"])
        return one

    def test_the_index_image_has_labels_and_colours(self, one):
        image = one.index_image()
        assert (image.mode, image.size) == ("P", one.size)
        assert np.array_equal(np.asarray(image), one.labels)
        palette = np.asarray(image.getpalette()).reshape(-1, 3)
        assert [tuple(color) for color in palette[:4]] == list(one.classes.colors)

    def test_where_zero_is_no_class_the_numbers_begin_at_one(self, one):
        classes = dataclasses.replace(one.classes, reduce_zero_label=True)
        shifted = dataclasses.replace(one, classes=classes)
        image = shifted.index_image()
        assert np.array_equal(np.asarray(image), one.labels + 1)
        assert image.getpalette()[3:6] == list(classes.colors[0])
        assert [c["number"] for c in shifted.to_json()["classes"]] == [found.label + 1 for found in one.found]

    def test_labels_may_lie_in_a_file(self, one, tmp_path):
        for shift in (False, True):
            classes = dataclasses.replace(one.classes, reduce_zero_label=shift)
            kept = dataclasses.replace(one, classes=classes)
            kept.index_image().save(tmp_path / "mask.png")
            stored = dataclasses.replace(kept, mask=tmp_path / "mask.png")
            assert np.array_equal(stored.labels, one.labels)
            assert stored.to_json()["mask"] == str(tmp_path / "mask.png")
        (tmp_path / "mask.png").unlink()
        with pytest.raises(InputError, match="there is no such file"):
            _ = dataclasses.replace(one, mask=tmp_path / "mask.png").labels

    def test_it_draws_itself_with_a_legend(self, one):
        bare = one.draw(legend=False)
        assert bare.size == one.size
        assert one.draw(60, legend=False).size == (60, 45)
        assert one.draw().height > bare.height
        untouched = np.asarray(one.source.read())
        assert np.array_equal(np.asarray(one.draw(legend=False, opacity=0))[:1, :1], untouched[:1, :1])

    def test_json(self, one):
        row = one.to_json()
        assert (row["index"], row["path"], row["mask"]) == (0, None, None)
        assert (row["width"], row["height"]) == (120, 90)
        assert set(row["classes"][0]) == {"name", "number", "share", "confidence"}

    def test_many(self, predictor, photos, tmp_path):
        results = predictor(list(photos.values()))
        assert len(results.to_json_lines(tmp_path / "a.jsonl").read_text().splitlines()) == 5
        assert results.contact_sheet(columns=2, px=80).width > 160
        assert isinstance(results[1:3], Segmentations)
        assert repr(results).startswith("Segmentations(5 images: ")
        with pytest.raises(InputError, match="there are no predictions to draw"):
            Segmentations(()).contact_sheet()


def test_sources_are_those_of_classification(photos):
    assert len(collect_sources(list(photos.values()))) == 5


def test_fewer_windows_at_a_time_where_memory_runs_out(predictor, segmenter_run, photos, monkeypatch, capsys):
    tight = fastitpn.load(segmenter_run.directory, device="cpu")
    picture, forward, sizes = photos["chelsea"].resize((90, 64)), tight._model.log_probabilities, []

    def limited(windows):
        sizes.append(len(windows))
        if len(windows) > 3:
            raise MemoryError
        return forward(windows)

    monkeypatch.setattr(tight._model, "log_probabilities", limited)
    views = dataclasses.replace(tight.views, inference="slide", resize=False, batch=8)
    [one] = tight(picture, views=views)
    assert sizes[:2] == [8, 4]
    assert max(sizes[2:]) == 2
    assert capsys.readouterr().out.splitlines() == [
        "out of memory with 8 windows in a batch: going on with 4",
        "out of memory with 4 windows in a batch: going on with 2",
    ]
    [other] = predictor(picture, views=views)
    assert np.array_equal(one.labels, other.labels)
    monkeypatch.setattr(tight._model, "log_probabilities", lambda windows: limited(torch.cat([windows] * 4)))
    with pytest.raises(InputError, match="out of memory") as caught:
        tight(picture, views=dataclasses.replace(views, inference="whole"))
    assert "inference=slide" in caught.value.fix
