import json
import threading

import numpy as np
import pytest
from PIL import Image

import fastitpn
from fastitpn.application.answers import AS_TRAINED, Answers
from fastitpn.application.config import AppConfig
from fastitpn.application.models import open_model
from fastitpn.errors import InputError
from fastitpn.runs.checkpoint import load_checkpoint, save_checkpoint
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.registry import TASKS


def open_answers(checkpoint, **keys) -> Answers:
    return Answers.of(open_model(AppConfig(checkpoint=checkpoint, **{"device": "cpu", **keys})))


@pytest.fixture
def image(scenes):
    return next(scenes.val.rglob("*.jpg"))


@pytest.mark.parametrize("choice", ["off", "fast"])
def test_a_classifier_says_what_its_predictor_says(classifier_run, image, choice):
    answer = open_answers(classifier_run.directory, px=64, top_k=2).answer(image, choice, None, 0.5)
    trained = load_trained(classifier_run.directory, choice).at(64)
    [expected] = TASKS.spec("classify").predictor(trained, device="cpu")(image, 2)
    row = json.loads(json.dumps(answer.to_json()))
    assert row["labels"] == list(expected.labels)
    assert row["scores"] == pytest.approx(expected.scores, abs=1e-5)
    assert row["acceleration"]["name"] == choice
    assert row["time"]["ms"] > 0
    assert [share.name for share in answer.shown.shares] == list(expected.labels)
    assert [panel.title for panel in answer.tokens][:2] == ([] if choice == "off" else ["image", "tokens that left"])


def test_a_segmenter(segmenter_run, segment_scenes):
    image = next(path for path in sorted(segment_scenes.rglob("*")) if path.suffix in (".jpg", ".png"))
    answer = open_answers(segmenter_run.directory).answer(image, "balanced", None, 0.5)
    [expected] = fastitpn.load(segmenter_run.directory, "balanced", device="cpu")(image)
    assert [(share.name, share.share) for share in answer.shown.shares] == [(c.name, c.share) for c in expected.found]
    assert max(answer.shown.picture.size) == 640


def test_a_detector(detector_run, detect_scenes):
    image = next(path for path in sorted(detect_scenes.rglob("*")) if path.suffix in (".jpg", ".png"))
    answers = open_answers(detector_run.directory)
    counts = []
    for min_score in (0.05, 0.3):
        answer = answers.answer(image, "off", None, min_score)
        [expected] = fastitpn.load(detector_run.directory, "off", device="cpu")(image, min_score)
        assert answer.to_json()["things"] == expected.to_json()["things"]
        counts.append(len(expected.things))
    assert counts[0] >= counts[1]


def test_features_of_a_pre_training(pretrained_run, image):
    answer = open_answers(pretrained_run.directory, px=64).answer(image, "fast", None, 0.5)
    assert [panel.title for panel in answer.shown.panels][:2] == ["pyramid, stride 4", "pyramid, stride 8"]
    assert answer.shown.found["maps"]["trunk"] == [4, 4, 192]
    assert len(answer.tokens) >= 2


def test_the_share_of_tokens_that_stays(classifier_run, image):
    answers = open_answers(classifier_run.directory, px=128)
    assert answers.choices == ["off", "balanced", "fast"]
    assert [answers.keep_ratio(choice) for choice in answers.choices] == [None, 0.4, 0.3]
    stayed = []
    for ratio in (0.2, 0.4, 0.8):
        answer = answers.answer(image, "balanced", ratio, 0.5)
        assert answer.acceleration.migration.keep_ratio == ratio
        stayed.append(answer.tokens[1].legend[-1].text)
    assert stayed == ["stayed to the end: 13", "stayed to the end: 26", "stayed to the end: 52"]
    with pytest.raises(InputError, match="keep_ratio"):
        answers.answer(image, "balanced", 1.5, 0.5)
    with pytest.raises(InputError, match="there is no acceleration 'faster'"):
        answers.answer(image, "faster", None, 0.5)


def test_an_acceleration_of_its_own_is_a_choice(classifier_run, tmp_path, image):
    own = fastitpn.Acceleration(migration=fastitpn.Migration(keep_ratio=0.7))
    content = {**load_checkpoint(classifier_run.best_checkpoint), "acceleration": own.to_dict()}
    content.pop("format", None)
    save_checkpoint(tmp_path / "own.ckpt", content)
    answers = open_answers(tmp_path / "own.ckpt")
    assert (answers.first_choice, answers.choices[-1], answers.keep_ratio(AS_TRAINED)) == (AS_TRAINED, AS_TRAINED, 0.7)
    assert answers.answer(image, AS_TRAINED, 0.7, 0.5).acceleration == own


def test_many_at_once_get_their_own_answers(classifier_run, scenes):
    answers = open_answers(classifier_run.directory)
    questions = [(path, choice) for path in sorted(scenes.val.rglob("*.jpg"))[:3] for choice in ("off", "fast")]
    expected = [answers.answer(*question, None, 0.5).to_json()["scores"] for question in questions]
    found: dict[int, object] = {}

    def ask(place):
        found[place] = answers.answer(*questions[place], None, 0.5).to_json()["scores"]

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(len(questions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, scores in enumerate(expected):
        assert np.allclose(found[place], scores, atol=1e-6)


def test_a_damaged_image(classifier_run, tmp_path):
    (tmp_path / "a.png").write_bytes(b"none")
    with pytest.raises(InputError, match="cannot read this image"):
        open_answers(classifier_run.directory).answer(tmp_path / "a.png", "off", None, 0.5)


def test_tall_images(segmenter_run, tmp_path):
    Image.new("RGB", (20, 400)).save(tmp_path / "tall.png")
    assert open_answers(segmenter_run.directory).answer(tmp_path / "tall.png", "fast", None, 0.5).tokens
