"""What people read, from `templates/<language>/`: loaded and checked at the start, reloadable.

A name that a template uses and nobody gave is an error, never an empty place; samples show that
before any mail does. Templates named
`*.html.j2` escape what they are given; the others are plain text. The filter `header` lets nothing
through that could begin another header field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import (
    BaseLoader,
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    select_autoescape,
)
from jinja2.meta import find_undeclared_variables

from gateway.errors import ConfigurationError

FALLBACK = "en"
_NOTHING = BaseLoader()


@dataclass(frozen=True, slots=True)
class Sample:
    """Facts such as a template will be given, made by whoever gives them."""

    template: str  # file name
    values: Mapping[str, object]


class Templates:
    """The templates of one folder, by language (the names of its sub-folders)."""

    def __init__(self, folder: Path, samples: Sequence[Sample] = ()) -> None:
        """Load, compile and try all. Raises ConfigurationError, see `check`."""
        self._folder = folder
        self._samples = samples
        self._environments: dict[str, Environment] = {}
        self.reload()

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages there are, sorted."""
        return tuple(sorted(self._environments))

    def render(self, language: str, name: str, **values: object) -> str:
        """Fill in the template file of that name; an unknown language reads English.

        Raises jinja2.TemplateError if the template needs what it was not given: a fault in the
        program or in an operator's template, never in a message.
        """
        environment = self._environments.get(language) or self._environments[FALLBACK]
        return environment.get_template(name).render(values)

    def reload(self) -> None:
        """Read the folder again; after an error the templates in force stay in force.

        Raises ConfigurationError, see `check`.
        """
        found = {
            path.name: _environment(path)
            for path in sorted(self._folder.iterdir())
            if path.is_dir()
        }
        check(found, self._folder, self._samples)
        self._environments = found

    def check(self) -> None:
        """Check what is loaded. Raises ConfigurationError."""
        check(self._environments, self._folder, self._samples)


def check(
    environments: dict[str, Environment], folder: Path, samples: Sequence[Sample] = ()
) -> None:
    """See that every language has every template, that each compiles and works on the samples.

    Raises ConfigurationError with one sentence a fault, each naming the file and, where the syntax
    is wrong, the line.
    """
    if FALLBACK not in environments:
        raise ConfigurationError(f"{folder}: there are no templates in English (en)")
    names = sorted({name for each in environments.values() for name in each.list_templates()})
    faults: list[str] = []
    for language, environment in environments.items():
        own = set(environment.list_templates())
        for name in names:
            path = folder / language / name
            if name not in own:
                faults.append(f"{path}: this template is missing")
                continue
            try:
                environment.get_template(name)
            except TemplateSyntaxError as error:
                faults.append(f"{path}: line {error.lineno}: {error.message}")
            except TemplateError as error:
                faults.append(f"{path}: {error.message}")
            except UnicodeDecodeError:
                faults.append(f"{path}: is not UTF-8")
    if not faults:
        tried = sorted({sample.template for sample in samples})
        for language, environment in environments.items():
            # What is asked for stands in the source: read once, however many samples there are.
            asked = {name: _asked(environment, name) for name in tried}
            faults += [
                f"{folder / language / sample.template}: {fault}"
                for sample in samples
                if (fault := _try(environment, sample, asked[sample.template]))
            ]
    if faults:
        faults = list(dict.fromkeys(faults))
        raise ConfigurationError("\n".join(faults))


def _asked(environment: Environment, name: str) -> set[str]:
    """The names that the template wants to be given, anywhere in it; none if there is no such."""
    try:
        source = (environment.loader or _NOTHING).get_source(environment, name)[0]
    except TemplateNotFound:
        return set()
    return find_undeclared_variables(environment.parse(source)) - set(environment.globals)


def _try(environment: Environment, sample: Sample, asked: set[str]) -> str:
    """Why the template does not work on the sample; empty if it does."""
    try:
        if unknown := asked - set(sample.values):  # also where the sample does not lead
            return f"{min(unknown)!r} is undefined"
        environment.get_template(sample.template).render(sample.values)
    except TemplateNotFound:
        return "this template is missing"
    except Exception as error:  # noqa: BLE001  # a template can do anything: divide by zero
        return f"{error}"
    return ""


def header_safe(value: object) -> str:
    """The value as text for a header field. Raises ValueError if it has a control character."""
    text = str(value)
    # CR, LF and NUL end or break a field; other controls have no business in one either.
    if any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in text):
        raise ValueError("a control character in a value for a header field")
    return text


def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=_Sources(folder),
        undefined=StrictUndefined,
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["header"] = header_safe
    return environment


class _Sources(FileSystemLoader):
    """Only template files count: the folder holds TOML tables too."""

    def list_templates(self) -> list[str]:
        return [name for name in super().list_templates() if name.endswith(".j2")]
