"""An object of captions by the names of their images; each caption may be in a list, as the coco-caption tools take it."""

from collections.abc import Iterator

from capgen.evaluation.predictions.form import Row, Source, texts


class DictionaryForm:
    """A JSON object from names to captions."""

    example = '{"42": "...", ...}'
    takes_folders = False

    def rows(self, source: Source) -> Iterator[Row] | None:
        """Return the rows; see ``Form``."""
        value = source.json
        if not isinstance(value, dict) or not any(map(texts, value.values())):
            return None
        return (Row(f"row {number}", name.strip(), texts(said)) for number, (name, said) in enumerate(value.items(), 1))


FORM = DictionaryForm()
