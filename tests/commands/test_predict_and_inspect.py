import json

import pytest

import fastitpn
from fastitpn.errors import InputError


def test_predict_takes_the_keys_of_the_command_line(checkpoint, folder, tmp_path):
    predictions = fastitpn.predict(checkpoint, folder, out=tmp_path / "out", top_k=1, batch=2, device="cpu")
    lines = (tmp_path / "out" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [result.to_json() for result in predictions]
    assert {len(result.labels) for result in predictions} == {1}


def test_inspect_prints_and_returns(checkpoint, capsys):
    seen = fastitpn.inspect(str(checkpoint), model="fastitpn_nano")
    assert capsys.readouterr().out == f"{seen}\n"
    assert seen.task == "classify"


def test_unknown_keys_are_named(checkpoint, folder):
    with pytest.raises(InputError, match=r"topk: unknown key; did you mean top_k\?"):
        fastitpn.predict(checkpoint, folder, topk=3)
    with pytest.raises(InputError, match=r"modle: unknown key; did you mean model\?"):
        fastitpn.inspect(checkpoint, modle="fastitpn_nano")
