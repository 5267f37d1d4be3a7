"""Takes the visible text out of XML and HTML, a line for each block or cell, without entities."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from xml.parsers import expat

from gateway.policy.archives import Broken
from mailboxes.charset import charset_text

# Elements of office XML whose character data is text: runs, cells, page headers, properties.
OFFICE_TEXT = frozenset((
    "t", "v", "oddHeader", "oddFooter", "evenHeader", "evenFooter", "firstHeader", "firstFooter",
    "title", "subject", "keywords", "description", "category", "contentStatus", "lpwstr", "lpstr",
))  # fmt: skip
# Elements of office XML, ODF and OFD that begin a new line.
_LINES = OFFICE_TEXT - {"t", "v"} | frozenset((
    "p", "h", "br", "cr", "tc", "tr", "si", "c", "row", "comment", "text", "line-break",
    "table-cell", "table-row", "creator", "user-defined", "keyword", "Title", "Author", "Subject",
    "Abstract", "Keyword", "CustomData", "header", "footer", "txbxContent",
))  # fmt: skip
_SPACES = {"tab": "\t", "ptab": "\t", "s": " "}
_BLOCKS = frozenset((
    "address", "article", "blockquote", "body", "br", "caption", "center", "dd", "div", "dl", "dt",
    "fieldset", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr",
    "html", "li", "main", "nav", "ol", "option", "p", "pre", "section", "table", "tbody", "td",
    "tfoot", "th", "thead", "title", "tr", "ul",
))  # fmt: skip
_TAG_NAME = re.compile(r"/?([^\W\d][\w:.-]*)")
_COMMENT_END = re.compile("--!?>")
# Found in the source itself: in a lowered copy of it `İ` is longer.
_HIDDEN, _RAW = (
    {name: re.compile(f"(?=</{name})", re.IGNORECASE | re.ASCII) for name in names}
    for names in (
        ("script", "style"),
        ("title", "textarea", "xmp", "iframe", "noembed", "noframes"),  # tags in them are text
    )
)
_LEVEL_LETTER, _TAG = re.compile("[绝絕絶机機秘祕]|&#|SECRET"), re.compile("<")
_PAGE_HEADER_PLACE = re.compile(r"&[LCR](?=[^&\n])")
_LINE_HEIGHT = 2.0  # millimetres by which OFD text objects of one line may differ
_GAP = 4.0  # millimetres between objects that are two pieces and not one word


class _Lines:
    """Gathers character data into lines."""

    def __init__(self, wanted: frozenset[str] | None) -> None:
        self.pieces: list[str] = []
        self._wanted = wanted
        self._within = 0
        self._cell = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        if local in _LINES:
            self.pieces.append("\n")
        if local == "c":
            self._cell = attributes.get("t", "")
        elif local == "textpath":  # a watermark of Word
            self.pieces.append("\n" + attributes.get("string", "") + "\n")
        elif local == "sheet":
            self.pieces.append("\n" + attributes.get("name", "") + "\n")
        elif local in _SPACES and self._within:
            self.pieces.append(_SPACES[local])
        elif local == "tab":
            self.pieces.append("\t")
        if self._counts(local):
            self._within += 1

    def end(self, name: str) -> None:
        local = name.rpartition(" ")[2]
        if self._counts(local):
            self._within -= 1
        if local in _LINES:
            self.pieces.append("\n")

    def data(self, text: str) -> None:
        if self._within > 0:
            self.pieces.append(text)

    def _counts(self, local: str) -> bool:
        # A cell's <v> is a number or an index into the shared strings, unless it says `str`.
        if local == "v" and self._wanted is not None:
            return self._cell == "str"
        return self._wanted is None or local in self._wanted


def xml_text(octets: bytes, wanted: frozenset[str] | None) -> str:
    """The text of an XML file, of the wanted elements or of all. Raises ExpatError or Broken."""
    lines = _Lines(wanted)
    _parse(octets, lines.start, lines.end, lines.data)
    text = _PAGE_HEADER_PLACE.sub("\n", "".join(lines.pieces))
    return "\n".join(line for line in text.splitlines() if line.strip())


def _parse(
    octets: bytes,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    data: Callable[[str], None],
) -> None:
    # expat knows no Chinese charset.
    declared = re.match(rb"\s*<\?xml[^>]*encoding=[\"'](gb[\w-]+)", octets, re.IGNORECASE)
    if declared:
        octets = charset_text(octets, declared[1].decode("ascii")).encode("utf-8", "replace")
    parser = expat.ParserCreate("utf-8" if declared else None, " ")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data

    def refuse(*_: object) -> None:
        # Entities expand without limit ("billion laughs"), and no office program writes any.
        raise Broken("entities")

    parser.EntityDeclHandler = refuse
    parser.Parse(octets, True)


def ofd_page_text(octets: bytes) -> str:
    """Text objects of an OFD page (GB/T 33190-2016, 11); one line where they share a height."""
    pieces: list[str] = []
    before = (0.0, -1e9, 0.0)  # x, y, width of the object before, millimetres
    inside = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal before, inside
        local = name.rpartition(" ")[2]
        if local == "TextObject":
            box = _box(attributes.get("Boundary", ""), before[1] + 100)
            if abs(box[1] - before[1]) > _LINE_HEIGHT:
                pieces.append("\n")
            elif box[0] > before[0] + before[2] + _GAP:
                pieces.append("  ")
            before = box
        inside = local == "TextCode"

    def end(_name: str) -> None:
        nonlocal inside
        inside = False

    def data(text: str) -> None:
        if inside:
            pieces.append(text.strip("\r\n"))

    _parse(octets, start, end, data)
    return "".join(pieces)


def _box(boundary: str, otherwise: float) -> tuple[float, float, float]:
    try:
        x, y, width, *_ = (float(number) for number in boundary.split())
    except ValueError:
        return 0.0, otherwise, 0.0
    return x, y, width


_FOLD = re.compile(r"\r?\n[ \t]")
_VALUE = re.compile(r"(?m)^[A-Za-z][\w.-]*(?:;[^:\n]*)?:(.*)$")


def is_list_of_values(text: str) -> bool:
    """Whether it is a calendar (RFC 5545) or a card (RFC 6350): lines of `NAME:value`."""
    return text[:100].lstrip("\ufeff \t\r\n").upper().startswith(("BEGIN:VCALENDAR", "BEGIN:VCARD"))


def values_text(text: str) -> str:
    """The values alone, a line each, as a program shows them."""
    values = (found[1].strip() for found in _VALUE.finditer(_FOLD.sub("", text)))
    shown = "\n".join(re.sub(r"\\[nN]", "\n", value) for value in values)
    return re.sub(r"\\([\\;,])", r"\1", shown)


def html_text(source: str, *, every_tag: bool = False) -> str:
    """The visible text of HTML, a line for each block or cell; linear in the length.

    With `every_tag` each tag ends a line, as suits XML of unknown kind.
    """
    text = html.unescape("".join(_html_pieces(source, every_tag)))
    return "\n".join(stripped for line in text.splitlines() if (stripped := line.strip()))


def _html_pieces(source: str, every_tag: bool) -> Iterator[str]:
    # The standard library's parser is quadratic on hostile input in some Python versions.
    position = 0
    endings = _Endings(source)
    while (at := source.find("<", position)) >= 0:
        yield _as_spaces(source[position:at])
        tag = _TAG_NAME.match(source, at + 1)
        if source.startswith("<!--", at):
            # `<!-->` is a whole comment, and `--!>` ends one.
            comment_end = endings.find(_COMMENT_END, at + 2)
            if comment_end is None:
                yield "\n"
            position = comment_end.end() if comment_end else at + 1
            continue
        if not tag and not source.startswith(("<!", "<?", "</"), at):
            yield "<"
            position = at + 1
            continue
        end = source.find(">", at)
        if end < 0:
            # Never closed: a reader's program shows nothing more, but a mark may stand here.
            yield "\n" + source[at + 1 :]
            return
        position = end + 1
        name = tag[1].lower() if tag else ""
        if name in _BLOCKS or every_tag:
            yield "\n"
        begins = source[at + 1] != "/" and source[end - 1] != "/"
        if begins and name in _HIDDEN:
            position = endings.behind(_HIDDEN[name], position)
        elif begins and name in _RAW and (stop := endings.find(_RAW[name], position)):
            yield _as_spaces(source[position : stop.start()])
            position = stop.start()
    yield source[position:]


class _Endings:
    """Where raw text ends in HTML; what was found once is not looked for again before it."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._next: dict[re.Pattern[str], re.Match[str] | None] = {}

    def find(self, end: re.Pattern[str], position: int) -> re.Match[str] | None:
        """The next of that kind."""
        known = self._next.get(end)
        if end not in self._next or (known is not None and known.start() < position):
            known = self._next[end] = end.search(self._source, position)
        return known

    def behind(self, end: re.Pattern[str], content: int) -> int:
        """Where to read on: behind hidden content, or at it.

        Programs differ in whether a style begins here (in an attribute, in SVG). So what is never
        ended, or has tags and could spell a level, is read as text.
        """
        found = self.find(end, content)
        if found is None:
            return content
        signs = (self.find(_LEVEL_LETTER, content), self.find(_TAG, content))
        if all(sign and sign.start() < found.start() for sign in signs):
            return content
        return found.start()


def _as_spaces(text: str) -> str:
    """Line ends of the source are spaces to a reader."""
    return text.replace("\r", "").replace("\n", " ")
