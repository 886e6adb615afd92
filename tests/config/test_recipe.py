from pathlib import Path

import pytest

from fastitpn.config import build, parse, to_dict, to_yaml
from fastitpn.errors import InputError
from fastitpn.pretraining.teachers.ema import EmaKeys
from fastitpn.pretraining.teachers.timm_encoder import TimmKeys
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.tasks.pretrain.config import MaskConfig, PretrainConfig


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "r.yaml") -> str:
        Path(name).write_text(text, encoding="utf-8")
        return f"recipe={name}"

    return write


def message(*words: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(PretrainConfig, words)
    return str(caught.value)


def test_a_recipe_gives_keys(write):
    word = write(
        "# a comment\ndata: photos\nlr: 3e-4\nbetas: [0.9, 0.95]\ncompile: yes\nweights: null\nteacher: timm:vit\n"
    )
    config = parse(PretrainConfig, [word])
    assert (config.data, config.lr, config.betas, config.compile) == (Path("photos"), 3e-4, (0.9, 0.95), True)
    assert config.teacher == TimmKeys(name="timm:vit")


def test_nested_keys_in_all_spellings(write):
    nested = write("data: a\nmask:\n  ratio: 0.5\n  exact: true\n", "nested.yaml")
    dotted = write("data: a\nmask.ratio: 0.5\nmask.exact: true\n", "dotted.yaml")
    assert parse(PretrainConfig, [nested]) == parse(PretrainConfig, [dotted])
    assert parse(PretrainConfig, [nested]).mask == MaskConfig(ratio=0.5, exact=True)


def test_an_empty_section_or_file_gives_nothing(write):
    assert parse(PretrainConfig, [write("data: a\nteacher:\n  # weights: x\n")]).teacher == EmaKeys()
    assert parse(PretrainConfig, [write("# nothing yet\n"), "data=a"]).data == Path("a")


def test_what_is_typed_wins_wherever_it_stands_and_the_later_of_two_recipes(write):
    word = write("data: a\nlr: 0.5\nepochs: 30\n")
    for words in ([word, "lr=0.25", "steps=9"], ["lr=0.25", "steps=9", word]):
        config = parse(PretrainConfig, words)
        assert (config.lr, config.steps, config.epochs) == (0.25, 9, None)
    assert parse(PretrainConfig, [word, write("batch: 3\nlr: 0.75\n", "s.yaml")]).lr == 0.75


def test_a_later_source_replaces_an_alternative_key(write):
    word = write("data: a\nepochs: 30\nwarmup_steps: 5\n")
    config = parse(PretrainConfig, [word, "steps=9", "warmup_epochs=2"])
    assert (config.epochs, config.steps, config.warmup_epochs, config.warmup_steps) == (None, 9, 2, None)


def test_two_alternatives_in_one_recipe_are_an_error(write):
    assert "epochs: expected only one of epochs and steps" in message(write("data: a\nepochs: 30\nsteps: 5\n"))


def test_errors_have_file_and_line(write):
    text = message(write("data: a\nlr: -1\n\nmask:\n  ratio: .5\n  exct: true\nepoch: 3\nlr: 2\nmodel: 5\n"))
    assert text.startswith("4 errors")
    assert "r.yaml, line 6: mask.exct: unknown key; did you mean mask.exact?" in text
    assert "r.yaml, line 7: epoch: unknown key; did you mean epochs?" in text
    assert "r.yaml, line 8: lr: given twice, first in line 2" in text
    assert "r.yaml, line 9: model: expected text, got 5" in text


def test_a_wrong_value_has_its_line(write):
    assert "r.yaml, line 2: lr: expected a number greater than 0 or auto, got -1" in message(write("data: a\nlr: -1\n"))
    assert "r.yaml, line 1: data: expected a path, got none" in message(write("data:\n"))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: [1\nb: 2\n", "r.yaml, line 2: not valid YAML: expected ',' or ']'"),
        ("data: a\n\tlr: 1\n", "r.yaml, line 2: not valid YAML: found character '\\t'"),
        ("data: !!python/name:os.system\n", "r.yaml, line 1: not valid YAML: could not determine a constructor"),
        ("data: \x01\n", "r.yaml: not valid YAML: unacceptable character"),
        ("- data\n- lr\n", "r.yaml, line 1: expected lines of the form 'key: value'"),
    ],
)
def test_broken_yaml(write, text, error):
    assert error in message(write(text))


def test_no_such_recipe(write):
    said = message("recipe=none.yaml", "data=a")
    assert "recipe: expected a YAML file or the name of a recipe, but there is no file 'none.yaml'" in said
    assert "`fastitpn recipes` lists" in said
    Path("folder").mkdir()
    assert "recipe: 'folder' cannot be read: Is a directory" in message("recipe=folder", "data=a")
    Path("latin.yaml").write_bytes(b"data: \xe9\xff\n")
    assert "recipe: 'latin.yaml' cannot be read: it is not UTF-8 text" in message("recipe=latin.yaml", "data=a")


@pytest.mark.parametrize(
    ("config_class", "words"),
    [
        (PretrainConfig, []),
        (
            PretrainConfig,
            ["steps=5", "teacher=timm:vit", "teacher.weights=a b.pt", "mask.max_block=9", "clip_grad=none"],
        ),
        (ClassifyConfig, ["rand_augment=none", "ema=none", "betas=0.9,0.95", "warmup_steps=0", "val=größe"]),
    ],
)
def test_what_is_written_reads_back_equal(write, config_class, words):
    config = parse(config_class, ["data=photos", *words])
    text = to_yaml(config)
    assert text.startswith(f"# Every key of the run. To repeat it: fastitpn {config_class._command} recipe=")
    assert parse(config_class, [write(text)]) == config
    assert build(config_class, to_dict(config)) == config


def test_to_dict_is_plain():
    plain = to_dict(parse(PretrainConfig, ["data=photos"]))
    assert plain["data"] == "photos"
    assert plain["betas"] == [0.9, 0.98]
    assert plain["teacher"]["name"] == "ema"
