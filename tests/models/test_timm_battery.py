"""timm's own tests of models, unmodified, on ours.

They are in timm's source distribution, which is fetched once with pip and kept in pytest's cache. Without a network set
FASTITPN_OFFLINE=1 to skip them. `--all-sizes` runs them on all models (some minutes).
"""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tarfile
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import family_sizes
import pytest
import torch
from filelock import FileLock

import fastitpn.models.registry as registry

ROOT = Path(__file__).parents[2]
SMALL = ("fastitpn_nano", family_sizes.ITPN, family_sizes.HIVIT)
FOR_ALL_NAMES = {"forward", "forward_features", "forward_fx"}
FOR_NAMES_WITH_SETTINGS = {"default_cfgs", "backward", "forward_torchscript", "backward_fx", "forward_fx_torchscript"}
BY_MODULE = (  # timm gives these the names of listed modules of its own
    "test_model_forward_intermediates",
    "test_model_forward_intermediates_features",
    "test_prune_intermediate_layers_contract",
    "test_prune_intermediate_layers_params_used",
    "test_forward_after_prune_intermediate_layers",
)


@pytest.fixture(scope="module", autouse=True)
def small_sizes() -> Iterator[None]:
    with family_sizes.registered():
        yield


@pytest.fixture(scope="session")
def timm_tests(request: pytest.FixtureRequest) -> Path:
    """`tests/test_models.py` of the installed timm."""
    version = importlib.metadata.version("timm")
    cache = request.config.cache.mkdir("timm-sdist")
    file = cache / f"timm-{version}" / "tests" / "test_models.py"
    with FileLock(cache / "lock"):  # several workers of pytest-xdist want it at once
        if not file.exists():
            download(version, cache)
    return file


def download(version: str, folder: Path) -> None:
    command = ["download", "--quiet", "--no-deps", "--no-binary", "timm", f"timm=={version}", "--dest", str(folder)]
    done = subprocess.run([sys.executable, "-m", "pip", *command], capture_output=True, text=True, check=False)
    if done.returncode != 0 and os.environ.get("FASTITPN_OFFLINE") == "1":
        pytest.skip(f"FASTITPN_OFFLINE=1, and timm {version}'s source distribution is not in pytest's cache")
    if done.returncode != 0:
        pytest.fail(f"timm {version}'s tests cannot be fetched (FASTITPN_OFFLINE=1 skips them):\n{done.stderr}")
    archive = folder / f"timm-{version}.tar.gz"
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    archive.unlink()


def chosen_names(config: pytest.Config) -> list[str]:
    sizes = list(registry.ARCHITECTURES) if config.getoption("--all-sizes") else list(SMALL)
    return [*sizes, *(f"{size}_fpn" for size in sizes)]


@pytest.mark.timeout(1800)
def test_every_test_of_timm_that_knows_our_models_passes(
    timm_tests: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    names = chosen_names(request.config)
    expected = {f"test_model_{test}[{batch(test)}-{name}]" for name in names for test in FOR_ALL_NAMES}
    expected |= {
        f"test_model_{test}[{batch(test)}-{name}]"
        for name in names
        if not name.endswith("_fpn")  # aliases: they have no settings of their own
        for test in FOR_NAMES_WITH_SETTINGS
    }
    environment = {key: value for key, value in os.environ.items() if key not in ("GITHUB_ACTIONS", "PYTEST_ADDOPTS")}
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests"), *filter(None, [environment.get("PYTHONPATH")])])
    sizes = " or ".join(name for name in names if not name.endswith("_fpn"))
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(timm_tests),
        "-p",
        "family_sizes",
        "-p",
        "no:cacheprovider",
        "-k",
        sizes,
    ]
    done = subprocess.run(
        [*command, "-q", f"--junitxml={tmp_path / 'report.xml'}", "-o", "junit_family=xunit2"],
        env={**environment, "PYTHONPATH": path},
        cwd=timm_tests.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tmp_path / "report.xml").exists(), done.stdout + done.stderr
    cases = list(ElementTree.parse(tmp_path / "report.xml").iter("testcase"))
    passed = {case.get("name") for case in cases if len(case.findall("*")) == len(case.findall("system-out"))}
    others = {case.get("name") for case in cases} - passed
    assert not others, done.stdout[-8000:]
    assert expected <= passed
    assert done.returncode == 0


def batch(test: str) -> int:
    """Timm's batch size, which is a part of the test's name."""
    return 2 if test.startswith("backward") else 1


@pytest.fixture(scope="session")
def timm_module(timm_tests: Path, request: pytest.FixtureRequest) -> ModuleType:
    """The same file as a module."""
    settings = tomllib.loads((timm_tests.parents[1] / "pyproject.toml").read_text())
    for marker in settings["tool"]["pytest"]["ini_options"]["markers"]:
        request.config.addinivalue_line("markers", marker)
    spec = importlib.util.spec_from_file_location("timm_test_models", timm_tests)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "model_name" in metafunc.fixturenames:
        metafunc.parametrize("model_name", chosen_names(metafunc.config))


@pytest.mark.parametrize("test", BY_MODULE)
def test_tests_that_timm_gives_to_modules_of_its_own(test: str, model_name: str, timm_module: ModuleType) -> None:
    torch.manual_seed(0)
    function = getattr(timm_module, test, None)
    if function is None:
        pytest.skip(f"timm {importlib.metadata.version('timm')} has no {test} yet")
    function(*((model_name, 1) if "forward_intermediates" in test else (model_name,)))
