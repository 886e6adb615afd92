"""The workflow of releases: build, check, and publish with trusted publishing, without a stored secret."""

import re

import yaml
from documented import ROOT

TEXT = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
JOBS = yaml.safe_load(TEXT)["jobs"]


def test_a_build_is_checked_before_it_is_kept():
    steps = [step.get("run") or step["uses"] for step in JOBS["build"]["steps"]]
    order = ["-m build", "twine check --strict dist/*", "dist/*.whl", "upload-artifact"]
    places = [next(place for place, step in enumerate(steps) if part in step) for part in order]
    assert places == sorted(places)


def test_only_a_tag_publishes_and_by_trust():
    publish = JOBS["publish"]
    assert publish["needs"] == "build"
    assert "github.ref_type == 'tag'" in publish["if"]
    assert (publish["environment"], publish["permissions"]) == ("pypi", {"id-token": "write"})
    assert any("gh-action-pypi-publish@" in step["uses"] for step in publish["steps"])
    assert not re.search(r"secrets\.|password:|token:(?! write)", TEXT)
