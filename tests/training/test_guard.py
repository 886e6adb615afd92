from fastitpn.training.guard import non_finite, too_many


def test_what_is_not_finite_is_named():
    assert non_finite({"loss": 1.0, "gradient_norm": 0.0, "only_logged": float("nan")}) is None
    assert non_finite({"loss": float("nan"), "gradient_norm": float("inf")}) == "loss is nan, gradient_norm is inf"


def test_the_final_error_says_where_and_what_to_do():
    text = str(too_many(30, "loss is nan"))
    assert "10 steps in a row" in text
    assert "steps 21 to 30; in the last one loss is nan" in text
    assert "lower lr=" in text
