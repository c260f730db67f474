"""The examples of README.md are run, in one session from top to bottom."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_every_example_of_the_readme_prints_what_it_says() -> None:
    text = README.read_text(encoding="utf-8")
    blocks = EXAMPLES.findall(text)
    assert len(blocks) == text.count("```python") >= 8
    assert all(block.startswith(">>> ") for block in blocks)
    # The text between the examples may not be read as output.
    session = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "README.md", str(README), 0)
    report: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(session, out=report.append)
    assert result.attempted > 40
    assert result.failed == 0, "".join(report)
