"""A letter's layouts: HTML and plain text."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from notification.letters import Letter

_LAYOUTS = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "layouts"),
    autoescape=lambda name: name is not None and name.endswith(".html"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def html(letter: Letter) -> str:
    """One column with one button, without images, readable in the dark."""
    return _LAYOUTS.get_template("letter.html").render(letter=letter)


def text(letter: Letter) -> str:
    """The same for readers without HTML."""
    return _LAYOUTS.get_template("letter.txt").render(letter=letter)
