import json

import pytest
from PIL import Image
from tiny_runs import files

from fastitpn.cli.main import main
from fastitpn.commands.of_checkpoint import keys_of_all
from fastitpn.commands.predict import run as run_predict
from fastitpn.errors import InputError
from fastitpn.runs.checkpoint import save_checkpoint
from fastitpn.tasks.keys import PredictConfig


@pytest.fixture
def config(checkpoint, folder, tmp_path):
    """A function that makes a configuration for the folder of photographs."""

    def make(**keys) -> PredictConfig:
        return keys_of_all("predict", PredictConfig)(
            **{"checkpoint": checkpoint, "source": folder, "out": tmp_path / "out", "device": "cpu", **keys}
        )

    return make


def test_a_folder_from_the_command_line(checkpoint, folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["predict", str(checkpoint), str(folder), f"out={out}", "device=cpu", "top_k=2"]) == 0
    rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["path"] for row in rows] == sorted(str(path) for path in folder.rglob("*.png"))
    assert all(len(row["labels"]) == len(row["scores"]) == 2 for row in rows)
    with Image.open(out / "contact_sheet.png") as sheet:
        assert sheet.width > 5 * 160
    printed = capsys.readouterr().out
    assert "far/away/coffee.png" in printed
    assert rows[0]["labels"][0] in printed
    assert str(out / "predictions.jsonl") in printed
    assert str(out / "contact_sheet.png") in printed
    pictures = [str(path.relative_to(folder)) for path in folder.rglob("*.png")]
    assert files(out) == sorted(["contact_sheet.png", "predictions.jsonl", *(f"pictures/{name}" for name in pictures)])
    with Image.open(out / "pictures" / "near" / "camera.png") as picture:
        assert picture.width == 384
        assert picture.height > 384 * 64 / 64  # the square photograph, and two lines below


def test_one_image(config, folder, capsys):
    predictions = run_predict(config(source=folder / "near" / "camera.png"))
    assert [result.path for result in predictions] == [folder / "near" / "camera.png"]
    assert "camera.png" in capsys.readouterr().out


def test_only_the_own_files_of_an_earlier_call_are_replaced(config, folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    (out / "predictions.jsonl").write_text("old\n")
    run_predict(config(source=folder / "near" / "camera.png"))
    assert (out / "notes.txt").read_text() == "mine"
    assert len((out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()) == 1


def test_a_second_call_does_not_predict_its_own_pictures(config, folder):
    first = run_predict(config(out=folder / "results"))
    second = run_predict(config(out=folder / "results"))
    assert first == second
    assert len(second) == 5


def test_damaged_images_in_a_folder_are_skipped_and_named(config, folder, capsys):
    for number in range(12):
        (folder / f"bad{number:02}.png").write_bytes(b"none")
    predictions = run_predict(config())
    assert (len(predictions), len(predictions.skipped)) == (5, 12)
    printed = capsys.readouterr().out
    assert "12 files skipped:" in printed
    assert "bad09.png: cannot read this image: not an image in a known format" in printed
    assert "bad10.png" not in printed
    assert "and 2 more" in printed


def test_only_the_first_rows_are_printed(config, photos, tmp_path, capsys):
    many = tmp_path / "many"
    many.mkdir()
    for number in range(50):
        photos["rocket"].save(many / f"{number:02}.png")
    run_predict(config(source=many, batch=16))
    printed = capsys.readouterr().out
    assert "09.png" in printed
    assert "10.png" not in printed
    assert "and 40 more" in printed
    assert "on one sheet of the first 48" in printed


def test_names_are_shown_and_not_obeyed(config, content, folder, tmp_path, capsys):
    save_checkpoint(tmp_path / "odd.ckpt", {**content, "classes": [f"[red]\x1b[2J{n}" for n in range(5)]})
    run_predict(config(checkpoint=tmp_path / "odd.ckpt"))
    printed = capsys.readouterr().out
    assert "[red]" in printed
    assert "\x1b[2J" not in printed


def test_a_damaged_image_by_itself_is_an_error(config, folder):
    (folder / "bad.png").write_bytes(b"none")
    with pytest.raises(InputError, match="cannot read this image") as caught:
        run_predict(config(source=folder / "bad.png"))
    assert caught.value.where == folder / "bad.png"


def test_a_folder_of_damaged_images_is_an_error(config, tmp_path):
    bad = tmp_path / "bad"
    bad.mkdir()
    for name in ("a.png", "b.png"):
        (bad / name).write_bytes(b"none")
    with pytest.raises(InputError, match="none of the 2 images can be read; the first: cannot read") as caught:
        run_predict(config(source=bad))
    assert caught.value.where == str(bad / "a.png")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["{pretrained}", "{folder}"], "finetune classify data=FOLDER weights="),
        (["{checkpoint}", "{folder}/cat.jpg"], "there is no such image or folder"),
        (["{folder}/run.ckpt", "{folder}"], "there is no such checkpoint"),
        (["{checkpoint}", "{folder}", "out={checkpoint}"], "out is a file"),
        (["{checkpoint}", "{folder}", "top_k=0"], "top_k: expected a whole number"),
    ],
)
def test_mistakes_end_with_2_and_a_message(words, text, checkpoint, pretrained, folder, tmp_path, capsys):
    places = {"checkpoint": checkpoint, "pretrained": pretrained, "folder": folder}
    words = [word.format(**places) for word in words]
    assert main(["predict", *words, "device=cpu", *([] if "out=" in words[-1] else [f"out={tmp_path / 'out'}"])]) == 2
    streams = capsys.readouterr()
    assert text in streams.err
    assert "Traceback" not in streams.err
    assert not (tmp_path / "out" / "predictions.jsonl").exists()


def test_a_pattern(config, folder, capsys):
    predictions = run_predict(config(source=folder / "**" / "c*.png"))
    found = [folder / name for name in ("far/away/coffee.png", "near/camera.png", "near/chelsea.png")]
    assert [result.path for result in predictions] == found
    assert "far/away/coffee.png" in capsys.readouterr().out
    with pytest.raises(InputError, match="no image matches this pattern"):
        run_predict(config(source=folder / "*.tif"))
