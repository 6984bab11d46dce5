"""The model card of a captioner (Mitchell et al. 2019): what it is, its training data, its scores, where it fails."""

from capgen.captioner.bundle import Description
from capgen.captioner.language import ENGLISH, is_english
from capgen.evaluation.metrics import every_metric, tokenizer

METRICS = tuple(metric.name for metric in every_metric() if metric.in_model_card)


_NAMES = """
Names that its captions rarely contain are said through slots, filled with what ImageNet's classes are called in
everyday words, where the encoder's own head is sure of one with a probability of {:g} or more.
"""


def model_card(description: Description, about: str = "", examples: str = "") -> str:
    """Write the card in Markdown.

    Args:
        description: The captioner.
        about: More on its training data, if there is more to say.
        examples: What it says of some images, if somebody has looked.
    """
    training, decoder, options = description.training, description.decoder, description.decoding
    scores = "\n".join(
        f"| {split} | {values['images']} | " + " | ".join(_cell(values.get(name)) for name in METRICS) + " |"
        for split, values in description.scores.items()
    )
    reliability = description.calibration.reliability
    bins = "\n".join(f"| {b['images']} | {b['confidence']:.2f} | {b['close']:.2f} |" for b in reliability["bins"])
    settings = "\n".join(f"| `{name}` | {value} |" for name, value in training["config"].items())
    language = training.get("language", ENGLISH)
    written, defined = "English", "as the coco-caption tools define them"
    if not is_english(language):
        written = f"the language `{language}`"
        defined += f", but of tokens by the rule {tokenizer(language).name}"
    names = _NAMES.format(description.constraints.min_class_probability) if description.decoder.get("names") else ""
    return f"""# {description.name}

An image captioner made with capgen {training["capgen"]}: encoder `{description.encoder["name"]}`, decoder
`{decoder["family"]}` with {decoder["vocabulary"]} vocabulary entries, its weights as {decoder["weights"]} in the graph that
captions (float16 in `weights.npz`).

Its captions are in {written}, as those that it learnt from. For another language, train a captioner on captions in it: see
"Another language" in `docs/how-to/own-captioner.md`.

## Training data

Data set `{training["data"]}` (fingerprint `{training["fingerprint"]}`): {training["images"]} images with
{training["captions"]} captions, {training["epochs"]} epochs. The encoder's weights: {description.encoder["origin"]}.
{names}{chr(10) + about if about else ""}
## Scores

Beam {options.num_beams}, length penalty {options.length_penalty}, guidance {options.guidance}, common-caption penalty
{options.common_caption_penalty}; fractions, {defined}. Dev is that of the training data set; the
epoch was chosen there (without the common-caption penalty), so that its row is a little flattering.

| split | images | {" | ".join(METRICS)} |
|---|---|{"---|" * len(METRICS)}
{scores}

Printed by `capgen evaluate {description.name} --data {training["data"]} --split SPLIT`, or with `--references SOURCE` for a
split of another source.

## How sure it is

The confidence it gives is how often a caption of its score is close to a human one: ROUGE-L of at least 0.5 with the
image's human captions, about half of the words shared in order. Fitted on dev and measured there on fifths that each
fit had left out: expected calibration error {reliability["error"]:.3f}, Brier score {reliability["brier"]:.3f};
{reliability["close"]:.0%} of all captions were close.

| captions | mean confidence | were close |
|---|---|---|
{bins}

It holds for images like those of dev and the search above. For other images it is overconfident.

## Where it fails

It knows only the words and the kinds of images of its training captions, names what is not among them after what
looks most alike, counts badly, reads no text and knows nobody's name. It repeats the habits of the people who wrote the
captions, their guesses at gender and age among them. Do not use it to identify or judge people.
{chr(10) + examples if examples else ""}

## Settings

| setting | value |
|---|---|
{settings}
"""


def _cell(value: float | None) -> str:
    """Return a score as the table shows it; ``None`` is that of a metric which needs more than human captions."""
    return "–" if value is None else f"{value:.4f}"
