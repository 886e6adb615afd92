"""What a JSON file is that is none of COCO's, by what is in it."""

from typing import Any

_KINDS = (
    ({"shapes", "imagePath"}, "LabelMe's annotation of one image; data=FOLDER takes the folder of all of them"),
    ({"_via_img_metadata"}, "a project of the VGG Image Annotator (VIA); export it there as COCO's format"),
    ({"type", "features"}, "GeoJSON, whose outlines are in coordinates of the earth, not in pixels"),
    ({"images", "annotations"}, "like COCO's format, but has no list of categories"),
    ({"tagging", "objects"}, "Supervisely's; export it there as COCO's format"),
    ({"objects", "size"}, "Supervisely's annotation of one image; export it there as COCO's format"),
    ({"classes", "tags"}, "the settings of a Supervisely project; export it there as COCO's format"),
    ({"asset", "regions"}, "VoTT's; export it there as Pascal VOC"),
    ({"data_row", "projects"}, "Labelbox's; convert it to COCO's format with its own tools"),
    ({"database", "taxonomy"}, "ActivityNet's, of videos"),
)
_ITEMS = (
    ({"image", "annotations"}, "CreateML's; convert it to COCO's format, for example with Roboflow"),
    (
        {"image_id", "bbox", "score"},
        "a list of detections, results in COCO's format; the data is the file that they are for",
    ),
    ({"image_id", "category_id"}, "only a list of annotations, without the images and categories of COCO's format"),
    ({"data_row"}, "Labelbox's; convert it to COCO's format with its own tools"),
    ({"name", "labels"}, "BDD100K's or Scalabel's; convert it to COCO's format with its own tools"),
    ({"data", "annotations"}, "Label Studio's"),
    ({"data", "completions"}, "Label Studio's, of an old version; export it again"),
)


def kind_of_json(content: Any) -> str | None:
    """The format in words, so that "this is ..." can be said; None if it is not known."""
    if isinstance(content, list):
        first = next((item for item in content if isinstance(item, dict)), {})
        return next((words for names, words in _ITEMS if names <= first.keys()), None)
    if not isinstance(content, dict):
        return None
    kind = next((words for names, words in _KINDS if names <= content.keys()), None)
    if kind is None and content and all(isinstance(item, dict) and "regions" in item for item in content.values()):
        return "annotations of the VGG Image Annotator (VIA); export them there as COCO's format"
    return kind
