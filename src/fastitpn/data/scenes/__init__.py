"""Scenes to try everything with: glyphs on photographs, composed on the user's machine from pip packages."""

from fastitpn.data.scenes.build import FORMS, SceneSet, build_scenes
from fastitpn.data.scenes.labels import CLASSES
from fastitpn.data.scenes.sheet import draw_contact_sheet

__all__ = ["CLASSES", "FORMS", "SceneSet", "build_scenes", "draw_contact_sheet"]
