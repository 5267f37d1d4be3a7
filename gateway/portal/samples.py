"""Facts with which every template of this package is tried at the start."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.portal import person, readiness, sheet
from gateway.templating import Sample


def samples() -> Iterator[Sample]:
    """Facts such as the pages, the sheets and the table of readiness are given."""
    for sentence, has_ca in (("", True), ("甲", False)):
        values = {"office": "甲", "form_token": "1", "sentence": sentence, "login": "a"}
        yield Sample("portal_login.html.j2", {**values, "has_ca": has_ca})
    for status in (400, 403, 404, 405, 413, 500, 503):
        yield Sample("portal_error.html.j2", {"office": "甲", "status": status})
    yield from person.samples()
    yield from sheet.samples()
    yield from readiness.samples()
