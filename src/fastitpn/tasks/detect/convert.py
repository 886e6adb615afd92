"""`fastitpn data convert`: annotations of other formats into COCO's."""

from fastitpn.config.convert import DataConvertConfig
from fastitpn.console import say
from fastitpn.data.detection.converters import Converted, formats_to_convert, read_source, write_coco
from fastitpn.errors import InputError
from fastitpn.runs.output import check_no_run, make_folder


def run_convert(config: DataConvertConfig) -> Converted:
    """Write the files of annotations, and the images if they are to be copied.

    Raises:
        InputError: The data or the folder do not fit.
    """
    forms = formats_to_convert()
    if config.form is not None and config.form not in forms:
        raise InputError(f"form is {config.form!r}", expected=f"one of {', '.join(forms)}", fix=f"form={forms[0]}")
    check_no_run(config.out, "coco")
    source = read_source(config.data, form=config.form, masks=config.with_masks, on_error=config.on_error)
    make_folder(config.out)
    written = write_coco(source, config.out, copy=config.copy)
    counts = f"{written.num_images} images, {written.num_annotations} boxes of {len(written.classes)} classes"
    if written.num_masks:
        counts += f", {written.num_masks} with masks,"
    names = ", ".join(file.name for file in written.files)
    say(f"done: {counts} in {names}; fine-tune with data={config.out}")
    if 0 < written.num_masks < written.num_annotations:
        say("detectors with masks need a mask for every box: with_masks=true uses only images that have them all")
    return written
