"""What mkdocs calls while it builds the site: it fills in everything that is already written down elsewhere.

- `<!-- generated: NAME -->` in a page becomes what the function of that name in `generated` returns;
- `::: fastitpn.NAME` becomes the docstring of a public name, wherever it is defined;
- each verb of the command line gets a page of its keys.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "src"))  # the documentation is of this very source

import commands  # noqa: E402  # beside this file: mkdocs looks for a hook's imports there
import generated  # noqa: E402
import pretraining_worth  # noqa: E402
from mkdocs.config.defaults import MkDocsConfig  # noqa: E402
from mkdocs.exceptions import PluginError  # noqa: E402
from mkdocs.structure.files import File, Files  # noqa: E402
from mkdocs.structure.pages import Page  # noqa: E402

import fastitpn  # noqa: E402

SNIPPETS = {
    "figures": generated.figures,
    "guarantees": generated.guarantees,
    "label formats": generated.label_formats,
    "label formats of detection": lambda: generated.label_formats(["detect"]),
    "limits": generated.limits,
    "models": generated.models,
    "pre-training on photographs": pretraining_worth.photographs,
    "pre-training on scenes": pretraining_worth.scenes,
    "pyramids on scenes": pretraining_worth.pyramids,
    "recipes": generated.recipes,
    "variance of the levels": pretraining_worth.checkerboard,
    "tracker encoder": generated.tracker_encoder,
    "versions": generated.versions,
}
WIDE = ("guarantees.md", "names.md", "how_to/extend.md")
"""Pages whose tables or code need the room of the table of contents."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the commands' pages to the navigation, and rebuilds when the source changes."""
    reference = next(entry["Reference"] for entry in config.nav if "Reference" in entry)
    section = next(entry for entry in reference if "Commands" in entry)
    section["Commands"] = [{name: f"reference/commands/{name}.md"} for name in commands.verbs()]
    config.watch += [str(ROOT / name) for name in ("src", "benchmarks/results", "recipes", "examples", "README.md")]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the commands' pages."""
    for name, verbs in commands.verbs().items():
        files.append(File.generated(config, f"reference/commands/{name}.md", content=commands.page(name, verbs)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fills in what a page asks for."""
    if page.file.src_uri in WIDE:
        page.meta["hide"] = ["toc"]
    markdown = re.sub(r"^<!-- generated: (.+?) -->$", lambda match: _snippet(match[1], page), markdown, flags=re.M)
    return re.sub(r"^::: fastitpn\.(\w+)$", lambda match: _docstring(match[1]), markdown, flags=re.M)


def _snippet(name: str, page: Page) -> str:
    if name.startswith("extending "):
        return generated.extending(name.removeprefix("extending "))
    if name not in SNIPPETS:
        raise PluginError(f"{page.file.src_uri}: nothing is generated under {name!r}, but {', '.join(SNIPPETS)}")
    return SNIPPETS[name]()


def _docstring(name: str) -> str:
    """A docstring's place: mkdocstrings reads source without running it, and public names are imported late."""
    if name not in fastitpn.__all__:
        raise PluginError(f"fastitpn.{name} is no public name")
    module = getattr(fastitpn, name).__module__
    options = f"    options:\n      heading: fastitpn.{name}\n      toc_label: {name}"
    return f'<a id="{name}"></a>\n\n::: {module}.{name}\n{options}'
