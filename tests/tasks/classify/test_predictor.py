import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from inference_example import CLASSES, MEAN, PX, STD

import fastitpn
from fastitpn.data.images.decode import to_rgb
from fastitpn.data.images.transforms import classify_eval
from fastitpn.data.segmentation.classes import distinct_colors
from fastitpn.errors import InputError
from fastitpn.runs.checkpoint import save_checkpoint
from fastitpn.tasks.classify.predictor import Predictor
from fastitpn.tasks.predicting import load


@pytest.fixture(scope="module")
def predictor(checkpoint) -> Predictor:
    return load(checkpoint, device="cpu")


def probabilities(model, photo) -> list[float]:
    pixels = classify_eval(PX, mean=MEAN, std=STD)(to_rgb(photo))
    with torch.no_grad():
        return model(pixels[None]).softmax(1)[0].tolist()


def test_scores_are_those_of_the_model_on_the_evaluation_view(predictor, model, photos):
    predictions = predictor(photos.values())
    for result, photo in zip(predictions, photos.values(), strict=True):
        scores = dict(zip(result.labels, result.scores, strict=True))
        assert [scores[name] for name in CLASSES] == pytest.approx(probabilities(model, photo), abs=1e-5)
        assert list(result.scores) == sorted(result.scores, reverse=True)
        assert sum(result.scores) == pytest.approx(1, abs=1e-5)
    assert len({result.label for result in predictions}) > 1


def test_a_batch_of_different_sizes_equals_one_by_one(predictor, photos):
    together = predictor(photos.values(), batch=3)
    for index, photo in enumerate(photos.values()):
        [alone] = predictor(photo)
        assert together[index].labels == alone.labels
        assert together[index].scores == pytest.approx(alone.scores, abs=1e-5)
        assert (together[index].index, alone.index) == (index, 0)


def test_files_pictures_arrays_and_tensors_together(predictor, photos, folder):
    photo = photos["coffee"]
    array = np.asarray(photo)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    results = predictor([folder / "far" / "away" / "coffee.png", photo, array, tensor, tensor / 255])
    assert all(result.scores == pytest.approx(results[0].scores, abs=1e-6) for result in results)
    assert [result.path is None for result in results] == [False, True, True, True, True]


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (3, 3), (99, len(CLASSES))])
def test_top_k(predictor, photos, top_k, count):
    [result] = predictor(photos["coffee"], top_k)
    assert len(result.labels) == len(result.scores) == count


def test_no_images_no_predictions(predictor):
    assert len(predictor([])) == 0


def test_worker_processes_change_nothing(predictor, folder):
    (folder / "near" / "bad.png").write_bytes(b"none")
    alone = predictor(folder, on_error="skip", batch=1)
    helped = predictor(folder, on_error="skip", batch=1, workers=2)
    assert helped == alone
    assert (len(helped), len(helped.skipped)) == (5, 1)


def test_the_callers_random_state_is_left_alone(predictor, photos):
    before = torch.get_rng_state()
    predictor(photos.values())
    assert torch.equal(torch.get_rng_state(), before)


def test_damaged_images_are_all_named_before_the_first_batch(predictor, folder, monkeypatch):
    monkeypatch.setattr(predictor, "_rank", None)  # is not to be reached
    (folder / "near" / "bad.png").write_bytes(b"none")
    (folder / "near" / "empty.png").write_bytes(b"")
    with pytest.raises(InputError, match="2 of 7 images cannot be read") as caught:
        predictor(folder)
    assert "bad.png: cannot read this image: not an image in a known format" in str(caught.value.where)
    assert "empty.png: cannot read this image: the file is empty" in str(caught.value.where)
    assert caught.value.fix == 'replace or delete these files, or leave them out with on_error="skip"'


def test_one_damaged_image(predictor, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"none")
    with pytest.raises(InputError, match="cannot read this image: not an image in a known format") as caught:
        predictor(tmp_path / "bad.png")
    assert caught.value.where == tmp_path / "bad.png"


def test_damaged_images_are_skipped_and_counted_if_asked(predictor, folder):
    (folder / "near" / "bad.png").write_bytes(b"none")
    predictions = predictor(folder, on_error="skip", batch=2)
    assert len(predictions) == 5
    [skipped] = predictions.skipped
    assert (skipped.index, skipped.name) == (3, str(folder / "near" / "bad.png"))
    assert skipped.reason == "cannot read this image: not an image in a known format"
    assert [result.index for result in predictions] == [0, 1, 2, 4, 5]
    assert predictions[2].path == folder / "near" / "astronaut.png"


def test_what_is_not_an_image_is_an_error_even_then(predictor, photos):
    with pytest.raises(InputError, match="is not an image") as caught:
        predictor([photos["coffee"], np.zeros((2, 2, 2))], on_error="skip")
    assert caught.value.where == "images[1]"


@pytest.mark.parametrize(
    ("keys", "text"),
    [({"top_k": 0}, "top_k is 0"), ({"batch": 0}, "batch is 0"), ({"on_error": "ignore"}, "on_error is 'ignore'")],
)
def test_wrong_arguments(predictor, photos, keys, text):
    with pytest.raises(InputError, match=text) as caught:
        predictor(photos["coffee"], **keys)
    assert caught.value.expected


def test_the_public_name(checkpoint):
    predictor = fastitpn.load(str(checkpoint), device="cpu", precision="32-true")
    assert isinstance(predictor, fastitpn.Predictor)
    assert (predictor.classes, predictor.px) == (tuple(CLASSES), PX)
    assert repr(predictor) == f"Predictor(5 classes, {PX} px, on cpu)"


def test_another_precision(checkpoint, predictor, photos):
    half = load(checkpoint, device="cpu", precision="bf16-mixed")(photos["coffee"])[0]
    full = predictor(photos["coffee"])[0]
    assert half.scores == pytest.approx(full.scores, abs=0.05)
    assert half.scores != full.scores


def test_a_run_directory_gives_its_best_checkpoint(content, tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    save_checkpoint(folder / "last.ckpt", {**content, "classes": list("abcde")})
    assert load(tmp_path / "run", device="cpu").classes == tuple("abcde")
    save_checkpoint(folder / "best.ckpt", content)
    assert load(tmp_path / "run", device="cpu").classes == tuple(CLASSES)


def test_a_checkpoint_of_pretraining_has_no_classes(pretrained):
    with pytest.raises(InputError, match="a checkpoint of the task 'pretrain' has nothing to predict") as caught:
        load(pretrained)
    assert caught.value.where == pretrained
    assert caught.value.fix == f"fastitpn finetune classify data=FOLDER weights={pretrained}"


def test_published_weights_have_no_classes(model, tmp_path):
    path = tmp_path / "fast itpn.pt"
    torch.save({"model": fastitpn.to_official_names(model.state_dict())}, path)
    with pytest.raises(InputError, match="a classifier file without names of classes, and no") as caught:
        load(path)
    assert caught.value.fix == f"fastitpn finetune classify data=FOLDER weights='{path}'"


def test_code_in_a_checkpoint_is_refused_and_not_run(malicious):
    path, trace = malicious
    with pytest.raises(InputError, match="refused to load: the file wants to call"):
        load(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)  # shows that the code would have been run
    assert trace.exists()


def test_a_damaged_checkpoint(content, tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    save_checkpoint(folder / "last.ckpt", content)
    save_checkpoint(folder / "best.ckpt", content)
    damaged = bytearray((folder / "best.ckpt").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (folder / "best.ckpt").write_bytes(damaged)
    with pytest.raises(InputError, match=r"best\.ckpt is damaged or incomplete") as caught:
        load(tmp_path / "run")
    assert caught.value.fix == f"use {folder / 'last.ckpt'}"
    (folder / "best.ckpt").write_bytes(damaged[:-1000])
    with pytest.raises(InputError, match="the file is damaged") as caught:
        load(tmp_path / "run")
    assert caught.value.fix == f"use {folder / 'last.ckpt'}"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"classes": ["a", "b"]}, "the checkpoint has 2 names for 5 classes"),
        ({"task": "segment"}, "the checkpoint lacks head, colors, masks, resize"),
        ({"task": "dance"}, "a checkpoint of the task 'dance'"),
        ({"model": {"name": "fastitpn_nano", "arguments": {"num_classes": 5, "px": 3}}}, "cannot be built: .*'px'"),
        ({"model": {"name": "fastitpn_nano", "arguments": {"num_classes": 6}}}, "has 5 names for 6 classes"),
        ({"model": {"name": "fastitpn_nano", "arguments": {"num_classes": 5}}}, "cannot be built: .*size mismatch"),
        ({"model": {"name": "fastitpn_nona", "arguments": {}}}, "no model is named 'fastitpn_nona'"),
    ],
)
def test_a_checkpoint_that_contradicts_itself(content, tmp_path, change, text):
    save_checkpoint(tmp_path / "a.ckpt", {**content, **change})
    with pytest.raises(InputError, match=text):
        load(tmp_path / "a.ckpt", device="cpu")


def test_a_checkpoint_with_something_left_out(content, tmp_path):
    save_checkpoint(tmp_path / "a.ckpt", {k: v for k, v in content.items() if k not in ("px", "normalisation")})
    with pytest.raises(InputError, match="the checkpoint lacks normalisation, px"):
        load(tmp_path / "a.ckpt")


def test_a_checkpoint_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="there is no such checkpoint"):
        load(tmp_path / "a.ckpt")
    with pytest.raises(InputError, match="this folder has no checkpoint"):
        load(tmp_path)


def test_a_file_that_is_something_else(tmp_path):
    path = tmp_path / "a.ckpt"
    path.write_text("hello")
    with pytest.raises(InputError, match=re.escape("the file is damaged or no PyTorch file")) as caught:
        load(path)
    assert caught.value.where == Path(path)


def test_the_batch_is_halved_where_memory_runs_out(checkpoint, predictor, folder, monkeypatch, capsys):
    tight = load(checkpoint, device="cpu")
    forward, sizes = tight._model.forward, []

    def limited(pixels):
        sizes.append(len(pixels))
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        return forward(pixels)

    monkeypatch.setattr(tight, "_model", limited)
    found = tight(folder, batch=5)
    assert sizes == [5, 2, 2, 1]
    assert capsys.readouterr().out == "out of memory with 5 images in a batch: going on with 2\n"
    for one, other in zip(found, predictor(folder, batch=5), strict=True):
        assert one.labels == other.labels
        assert one.scores == pytest.approx(other.scores, abs=1e-5)
    monkeypatch.setattr(tight, "_model", lambda pixels: limited(torch.cat([pixels] * 3)))
    with pytest.raises(InputError, match="out of memory") as caught:
        tight(folder)
    assert "a smaller px" in caught.value.fix


def test_bars_have_the_colours_of_the_classes(predictor, folder):
    [result] = predictor(folder / "near" / "camera.png", 2)
    colors = dict(zip(predictor.classes, distinct_colors(predictor.classes), strict=True))
    assert [share.color for share in result.shares()] == [colors[name] for name in result.labels]
    assert result == replace(result, classes=())
