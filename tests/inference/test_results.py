import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fastitpn.errors import InputError
from fastitpn.inference.results import Skipped
from fastitpn.inference.sources import Source
from fastitpn.tasks.classify.results import Classification, Predictions


def result(index: int, path: str | None = None, *, value=None) -> Classification:
    source = Source(value=Path(path) if path else value or Image.new("RGB", (40, 20), "red"), name="x")
    file = None if path is None else Path(path)
    return Classification(index=index, path=file, labels=("лилия", "oak"), scores=(0.75, 0.1 + 0.2), source=source)


def test_the_first_is_the_label():
    assert (result(0).label, result(0).score) == ("лилия", 0.75)


def test_json_and_back_is_exact(tmp_path):
    odd = "a\udcff[b].jpg"  # a file name with a byte that is no UTF-8
    predictions = Predictions((result(0, "лес/a b.jpg"), result(1), result(4, odd)))
    assert predictions.to_json_lines(tmp_path / "out.jsonl") == tmp_path / "out.jsonl"
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert rows == [one.to_json() for one in predictions]
    assert rows[0] == {"index": 0, "path": "лес/a b.jpg", "labels": ["лилия", "oak"], "scores": [0.75, 0.1 + 0.2]}
    assert (rows[1]["path"], rows[2]["path"]) == (None, odd)
    assert "лилия" in lines[0]


def test_lines_that_cannot_be_written_leave_the_old_ones(tmp_path):
    (tmp_path / "out.jsonl").write_text("old\n")
    bad = Classification(index=0, path=None, labels=("a",), scores=(object(),), source=result(0).source)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Predictions((result(0), bad)).to_json_lines(tmp_path / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
    assert (tmp_path / "out.jsonl").read_text() == "old\n"


def test_predictions_are_like_a_list():
    predictions = Predictions(tuple(map(result, range(5))), (Skipped(index=5, name="b.jpg", reason="damaged"),))
    assert len(predictions) == 5
    assert [one.index for one in predictions] == [0, 1, 2, 3, 4]
    assert predictions[-1] == result(4)
    assert isinstance(predictions[1:3], Predictions)
    assert [one.index for one in predictions[1:3]] == [1, 2]
    assert repr(predictions) == "Predictions(5 images: лилия 0.75, лилия 0.75, лилия 0.75, ...; 1 skipped)"
    assert repr(predictions[:1]) == "Predictions(1 image: лилия 0.75)"
    assert not Predictions(())


def test_a_notebook_shows_them():
    sheet = Predictions((result(0), result(1)))._repr_html_()
    assert sheet.startswith('<p>Predictions(2 images: лилия 0.75, лилия 0.75)</p><img src="data:image/png;base64,')
    assert (
        "&lt;b&gt;"
        in Classification(index=0, path=None, labels=("<b>",), scores=(1.0,), source=result(0).source)._repr_html_()
    )
    assert Predictions(())._repr_html_() == "<p>Predictions(0 images: )</p>"


def test_a_drawing_shows_the_image_above_its_classes():
    picture = result(0).draw(px=100)
    assert picture.width == 100
    assert picture.height > 50
    assert picture.crop((0, 0, 100, 50)).getcolors() == [(100 * 50, (255, 0, 0))]


def test_a_drawing_of_a_file_that_is_gone(tmp_path):
    with pytest.raises(InputError, match="this image file does not exist"):
        result(0, str(tmp_path / "gone.jpg")).draw()


def test_a_contact_sheet_shows_as_many_as_it_may():
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    predictions = Predictions(tuple(result(i, value=Image.new("RGB", (9, 9), c)) for i, c in enumerate(colors)))
    shown = {tuple(color) for color in np.asarray(predictions.contact_sheet(px=40, max_images=2)).reshape(-1, 3)}
    assert [color in shown for color in colors] == [True, True, False]
    wide, high = predictions.contact_sheet(columns=3).size, predictions.contact_sheet(columns=1).size
    assert wide[0] > high[0]
    assert wide[1] < high[1]


def test_a_contact_sheet_of_a_thin_image():
    thin = Predictions((result(0, value=Image.new("RGB", (4000, 2))),))
    assert thin.contact_sheet().width > 100


def test_no_contact_sheet_of_nothing():
    with pytest.raises(InputError, match="there are no predictions to draw"):
        Predictions(()).contact_sheet()
