import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from fastitpn.config.types import Milestone
from fastitpn.config.values import OneOf, choices, expected, read_value, short_type, show
from fastitpn.registry import Registry

Rate = Annotated[float, Field(gt=0)]


@pytest.mark.parametrize(
    ("annotation", "value", "right"),
    [
        (int, "10", 10),
        (int, "1_000", 1000),
        (int, 2.0, 2),
        (float, "1.5e-3", 1.5e-3),
        (Rate, "3e-4", 3e-4),
        (float | None, "none", None),
        (float | None, "Null", None),
        (float | None, None, None),
        (float | None, "2", 2.0),
        (bool, "yes", True),
        (bool, "no", False),
        (bool, "true", True),
        (bool, False, False),
        (str, "none", "none"),  # not optional, so it is a text like any other
        (str, "0.5", "0.5"),
        (str | None, "none", None),
        (Path, "a/b", Path("a/b")),
        (Path, Path("a/b"), Path("a/b")),
        (tuple[float, float], "0.9,0.98", (0.9, 0.98)),
        (tuple[float, float], "(0.9, 0.98)", (0.9, 0.98)),
        (tuple[float, float], [0.9, 1], (0.9, 1.0)),
        (tuple[int, ...], "224,512", (224, 512)),
        (tuple[int, ...], "224", (224,)),
        (list[int], "1,2", [1, 2]),
        (int | tuple[int, int], "224", 224),
        (int | tuple[int, int], "224,512", (224, 512)),
        (Milestone, "27/32", 0.84375),
        (tuple[Milestone, ...], "27/32,0.9375", (0.84375, 0.9375)),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, 2], "2", 2),
    ],
)
def test_reads(annotation: Any, value: Any, right: Any):
    result = read_value(annotation, value)
    assert result == right
    assert type(result) is type(right)


def test_home_folder_is_filled_in(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert read_value(Path, "~/photos") == Path("/home/somebody/photos")


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        (Rate, "-1", "expected a number greater than 0, got '-1'"),
        (Rate, "fast", "expected a number greater than 0, got 'fast'"),
        (Rate, True, "expected a number greater than 0, got True"),
        (Rate, None, "expected a number greater than 0, got None"),
        (float, "nan", "expected a number, got 'nan'"),
        (float, "inf", "expected a number, got 'inf'"),
        (int, "2.5", "expected a whole number, got '2.5'"),
        (int | None, "x", "expected a whole number or none, got 'x'"),
        (bool, "maybe", "expected true or false, got 'maybe'"),
        (str, 5, "expected text, got 5"),
        (str, "", "expected text, got ''"),
        (Path, "", "expected a path, got ''"),
        (tuple[float, float], "1", "expected 2 values separated by commas, each a number, got '1'"),
        (tuple[int, ...], "1,x", "expected values separated by commas, each a whole number, got '1,x'"),
        (Milestone, "4/3", "expected a number between 0 and 1, both excluded, got '4/3'"),
        (Milestone, "1/0", "expected a number between 0 and 1, both excluded, got '1/0'"),
        (Literal["a", "b"], "c", "expected a or b, got 'c'"),
        (Literal["a", "b", "c"], "d", "expected one of a, b, c, got 'd'"),
    ],
)
def test_refuses_and_says_what_was_expected(annotation: Any, value: Any, text: str):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        read_value(annotation, value)


@pytest.mark.parametrize(
    ("bounds", "phrase", "short"),
    [
        (Field(ge=0), "a number of at least 0", "float >= 0"),
        (Field(lt=1), "a number less than 1", "float < 1"),
        (Field(le=1), "a number of at most 1", "float <= 1"),
        (Field(ge=0, le=1), "a number between 0 and 1", "float in [0, 1]"),
        (Field(gt=0, le=1), "a number between 0 and 1, 0 excluded", "float in (0, 1]"),
        (Field(gt=0, lt=1), "a number between 0 and 1, both excluded", "float in (0, 1)"),
        (Field(multiple_of=16), "a number, a multiple of 16", "float, multiple of 16"),
    ],
)
def test_bounds_in_words(bounds: Any, phrase: str, short: str):
    annotation = Annotated[float, bounds]
    assert expected(annotation) == phrase
    assert short_type(annotation) == short


def test_short_types():
    assert short_type(tuple[Rate, Rate] | None) == "float,float | none"
    assert short_type(tuple[int, ...]) == "int,..."
    assert short_type(Literal["a", "b"]) == "a | b"


def test_choices_only_where_nothing_else_is_taken():
    assert choices(Literal["a", "b"] | None) == ["a", "b"]
    assert choices(Literal["a"] | int) == []
    assert choices(str) == []


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(bool, True), (float | None, None), (tuple[float, float], (0.9, 0.98)), (Path, Path("a")), (str, "x"), (int, 3)],
)
def test_what_is_shown_can_be_typed(annotation: Any, value: Any):
    assert read_value(annotation, show(value)) == value


def test_one_of_the_names_that_are_registered_now():
    registry: Registry[int] = Registry("part", {})
    registry.register("poly", 1)
    registry.register("off", 2)
    annotation = Annotated[str, OneOf(registry)]
    assert (choices(annotation), short_type(annotation)) == (["poly", "off"], "poly | off")
    assert (read_value(annotation, "off"), read_value(annotation, False)) == ("off", "off")
    assert expected(annotation | None) == "poly or off or none"
    with pytest.raises(ValueError, match=r"^expected poly or off, got 'step'$"):
        read_value(annotation, "step")
    registry.register("step", 3)
    assert read_value(annotation | None, "step") == "step"
    assert read_value(annotation | None, "none") is None
    assert choices(annotation | None) == ["poly", "off", "step"]
    with pytest.raises(ValueError, match=r"^expected one of poly, off, step, got 'cosine'$"):
        read_value(annotation, "cosine")
    with pytest.raises(ValueError, match="expected values separated by commas, each one of poly, off, step, got"):
        read_value(tuple[annotation, ...], "off,cosine")


def test_one_of_what_a_function_gives():
    annotation = Annotated[str, OneOf(lambda: ["a", "b"])]
    assert read_value(list[annotation], "b,a") == ["b", "a"]
    for kind in (tuple[annotation, annotation], list[annotation]):
        with pytest.raises(ValueError, match="each a or b, got 'b,c'"):
            read_value(kind, "b,c")
    with pytest.raises(ValueError, match="got 'a:x'"):
        read_value(annotation, "a:x")
    assert read_value(Annotated[str, OneOf(["a"], with_rest=True)], "a:x") == "a:x"
