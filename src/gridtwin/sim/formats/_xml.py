"""Read XML safely into elements that know their line: no entities, nothing fetched, all bounded."""

import re
import xml.sax  # only its types; the parser is defusedxml's
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import defusedxml.sax
from defusedxml.common import DefusedXmlException

from gridtwin.core.errors import FormatError

__all__ = ["Element", "parse_xml"]

_MOST_BYTES = 256 * 2**20
_DEEPEST = 64
_ENTITY = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[0-9]+|#x[0-9a-fA-F]+);)[^\s;&\"'<]{0,64};?")
_BEFORE = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s|<!--.*?-->)*(?=<\?xml\s)", re.DOTALL)


@dataclass
class Element:
    """An XML element: its attributes as written, its children in order, its line (from 1)."""

    tag: str
    attributes: dict[str, str]
    line: int
    children: list["Element"] = field(default_factory=list)


def parse_xml(path: Path | str) -> Element:
    """Return the root element of a file; text between tags is left out.

    The document type is neither fetched nor checked. Comments and blank lines before the XML
    declaration, which XML forbids and SimGrid reads, are skipped. Memory: about ten times the
    file, which may have 256 MiB and 64 levels.

    Raises `FormatError` for a file that is no XML, declares entities, or is too large or deep.
    """
    path = Path(path)
    try:
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise FormatError(f"{path}: {size} bytes; expected at most {_MOST_BYTES}")
        content = path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from error
    content, skipped = _checked(path, content)
    tree = _Tree(path, skipped)
    try:
        # the external subset is not loaded: sax has external entities switched off, and without
        # this permission it would refuse the mere mention of SimGrid's document type
        defusedxml.sax.parse(BytesIO(content), tree, forbid_external=False)
    except DefusedXmlException as error:
        raise FormatError(
            f"{path}: it declares entities, which are not expanded ({error}); write their text"
        ) from error
    except xml.sax.SAXParseException as error:
        line = (error.getLineNumber() or 1) + skipped
        raise FormatError(f"{path}: line {line}: no XML: {error.getMessage()}") from error
    except (ValueError, LookupError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path}: no XML that can be read: {error}") from error
    if tree.root is None:
        raise FormatError(f"{path}: it holds no element; expected a platform")
    return tree.root


def _checked(path: Path, content: bytes) -> tuple[bytes, int]:
    """Return what follows the leading comments, and how many lines they are."""
    if b"\0" in content:
        raise FormatError(f"{path}: it holds NUL bytes; expected XML in UTF-8")
    if found := _ENTITY.search(content):
        # the parser passes over entities that the document type, which is not read, may declare
        line = content.count(b"\n", 0, found.start()) + 1
        name = found.group().decode(errors="replace")
        raise FormatError(f"{path}: line {line}: entity {name} is not expanded; write its text")
    before = _BEFORE.match(content)
    if before is None:
        return content, 0
    return content[before.end() :], before.group().count(b"\n")


class _Tree(xml.sax.ContentHandler):
    """Keeps the elements as they come."""

    def __init__(self, path: Path, skipped: int) -> None:
        super().__init__()
        self.root: Element | None = None
        self._path, self._skipped = path, skipped
        self._open: list[Element] = []
        self._locator: xml.sax.xmlreader.Locator | None = None

    def setDocumentLocator(self, locator: xml.sax.xmlreader.Locator) -> None:  # noqa: N802 - sax's
        self._locator = locator

    def startElement(self, name: str, attrs: xml.sax.xmlreader.AttributesImpl) -> None:  # noqa: N802
        line = (self._locator.getLineNumber() or 0) if self._locator else 0
        element = Element(name, dict(attrs.items()), line + self._skipped)
        if len(self._open) >= _DEEPEST:
            raise FormatError(
                f"{self._path}: line {element.line}: <{name}> is nested {_DEEPEST + 1} deep; "
                f"expected at most {_DEEPEST} levels"
            )
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def endElement(self, name: str) -> None:  # noqa: N802 - sax's
        self._open.pop()
