"""The page: an image, the controls of the acceleration, and what the model says."""

from types import ModuleType
from typing import Any

from fastitpn.application import markup
from fastitpn.application.answers import Answers
from fastitpn.application.uploads import take_uploads_alone
from fastitpn.errors import InputError

_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif")
_MONO = ("ui-monospace", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")
_MIN_SCORE = 0.5
_WAITING = "Drop an image, or paste one."


def build_page(gradio: ModuleType, answers: Answers, title: str) -> Any:
    """The page of a model.

    Args:
        gradio: The library, which takes seconds to import.
        answers: Predict with the model that the page is about.
        title: Heading of the page.

    Returns:
        Gradio's blocks.
    """
    model = answers.model
    first_ratio = answers.keep_ratio(answers.first_choice)

    def predict(path: str | None, choice: str, keep_ratio: float | None, min_score: float) -> tuple[Any, ...]:
        if path is None:
            return None, markup.empty(_WAITING), "", None
        try:
            answer = answers.answer(path, choice, keep_ratio, min_score)
        except InputError as error:
            return None, markup.problem(error), "", {"error": error.what}
        tokens = markup.tokens(answer.tokens, answer.acceleration)
        return answer.shown.picture, markup.summary(answer), tokens, answer.to_json()

    def choose(choice: str) -> Any:
        ratio = answers.keep_ratio(choice)
        return gradio.Slider(interactive=False) if ratio is None else gradio.Slider(value=ratio, interactive=True)

    with gradio.Blocks(title=f"{title} - fastitpn", analytics_enabled=False) as page:
        gradio.HTML(markup.head(title, model.facts))
        with gradio.Row():
            with gradio.Column(scale=2, min_width=300):
                image = gradio.Image(
                    label="image", type="filepath", image_mode=None, sources=["upload", "clipboard"], height=300
                )
                take_uploads_alone(gradio, image)
                choice = gradio.Radio(answers.choices, value=answers.first_choice, label="acceleration")
                keep_ratio = gradio.Slider(
                    0.1,
                    1.0,
                    value=first_ratio or 0.5,
                    step=0.05,
                    label="keep_ratio",
                    info="Share of the tokens that stays in the trunk",
                    interactive=first_ratio is not None,
                )
                min_score = gradio.Slider(
                    0.0,
                    1.0,
                    value=_MIN_SCORE,
                    step=0.05,
                    label="min_score",
                    info="Least score of what is drawn",
                    visible=model.scored,
                )
            with gradio.Column(scale=3, min_width=300):
                picture = gradio.Image(
                    label="prediction",
                    show_label=False,
                    interactive=False,
                    format="png",
                    height=420,
                    buttons=["download", "fullscreen"],
                    visible=model.pictured,
                )
                summary = gradio.HTML(markup.empty(_WAITING))
        with gradio.Accordion("Tokens that migrate", open=True):
            tokens = gradio.HTML(markup.empty("Which tokens leave is drawn here."))
        with gradio.Accordion("As JSON", open=False):
            fields = gradio.JSON(show_label=False)

        inputs, outputs = [image, choice, keep_ratio, min_score], [picture, summary, tokens, fields]
        gradio.on(
            [image.change, keep_ratio.release, min_score.release],
            predict,
            inputs,
            outputs,
            api_name="predict",
            trigger_mode="always_last",
            concurrency_limit=1,
            concurrency_id="model",
        )
        choice.input(choose, choice, keep_ratio, api_visibility="private").then(
            predict, inputs, outputs, api_visibility="private", concurrency_limit=1, concurrency_id="model"
        )
    return page


def build_theme(gradio: ModuleType) -> Any:
    """Colours, and fonts that are on the machine: nothing is fetched."""
    theme = gradio.themes.Soft(primary_hue="blue", neutral_hue="slate", radius_size="sm", font=_FONTS, font_mono=_MONO)
    return theme.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_border_width="1px",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_500",
        block_info_text_color_dark="*neutral_400",
        block_title_background_fill="transparent",
        block_title_background_fill_dark="transparent",
        block_title_text_color="*body_text_color",
        block_title_text_color_dark="*body_text_color",
        block_title_padding="0",
        block_label_background_fill="*background_fill_secondary",
        block_label_background_fill_dark="*background_fill_secondary",
        block_label_text_color="*body_text_color_subdued",
        block_label_text_color_dark="*body_text_color_subdued",
    )
