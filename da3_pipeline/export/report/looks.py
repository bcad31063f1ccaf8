"""How pages look that people read: templates with the style sheet and the filters of report.html."""

from __future__ import annotations

from functools import cache

import jinja2

from ...guard.printable import printable
from .reading import count, duration, figure, sentence

__all__ = ["page_template"]

_OWN = "da3_pipeline.export.report"


@cache
def page_template(name: str, package: str = _OWN) -> jinja2.Template:
    """The template of that name in `package`/templates, which may include what report.html is made of.

    What is filled in is escaped, and a name that nothing fills is an error. Filters: count, duration, figure,
    printable, sentence.
    """
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(one) for one in dict.fromkeys((package, _OWN))]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": count,
        "duration": duration,
        "figure": figure,
        "printable": printable,
        "sentence": sentence,
    }
    return environment.get_template(name)
