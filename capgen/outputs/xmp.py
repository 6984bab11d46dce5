"""An XMP file beside each image. The caption is written as the description and as the alternative text of its metadata.

Photo managers keep ratings, keywords and edits in the same file, so a caption is merged into what is there.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.dom.minidom import CDATASection, Document, Element, Node, Text, parseString
from xml.parsers import expat
from xml.sax.saxutils import escape

from capgen.errors import StorageError
from capgen.inputs.selection import Found
from capgen.outputs.destination import OutputFolders, both, contents
from capgen.outputs.sidecar_naming import SidecarName, SidecarNames

_FIELDS = ("dc:description", "Iptc4xmpCore:AltTextAccessibility")
_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "xml": "http://www.w3.org/XML/1998/namespace",
    "xmlns": "http://www.w3.org/2000/xmlns/",
}
_NEW = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{_NAMESPACES["rdf"]}">
  <rdf:Description rdf:about="" xmlns:dc="{_NAMESPACES["dc"]}" xmlns:Iptc4xmpCore="{_NAMESPACES["Iptc4xmpCore"]}">
   <dc:description>
    <rdf:Alt>
     <rdf:li xml:lang="x-default"/>
    </rdf:Alt>
   </dc:description>
   <Iptc4xmpCore:AltTextAccessibility>
    <rdf:Alt>
     <rdf:li xml:lang="x-default"/>
    </rdf:Alt>
   </Iptc4xmpCore:AltTextAccessibility>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT_ESCAPES = {"\r": "&#13;"}
_ATTRIBUTE_ESCAPES = {'"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def xml_text(caption: str) -> str:
    """Return the caption as XML can hold it: without the control characters that XML 1.0 forbids, and stripped."""
    return _FORBIDDEN.sub("", caption).strip()


class XmpSidecar:
    """XMP files, as photo managers read them.

    Args:
        output_dir: The folder that they are written into, in sub-folders like those of the images; by default they are
            written beside the images.
        name: What a new one is called: a ``SidecarName``.

    Raises:
        UsageError: There is no such name.
    """

    def __init__(self, output_dir: Path | None = None, name: str = SidecarName.AUTO) -> None:
        self._folders, self._names = OutputFolders(output_dir), SidecarNames(".xmp", output_dir, name)

    def target(self, path: Path, root: Path) -> Path:
        """Return the path of an image's XMP file, as ``sidecar_naming`` says."""
        return self._names.path(path, root)

    def survey(self, images: Iterable[Found]) -> None:
        """Look at the folders of images, as ``SidecarNames`` does."""
        self._names.survey(images)

    def read(self, target: Path) -> str | None:
        """Return description and alternative text in the default language, joined by ``both``; ``None`` if both are missing.

        Raises:
            StorageError: There is something that is not an XMP file, or cannot be read.
        """
        document = _parse(target)
        if document is None:
            return None
        root = _root(document, target)
        return both(*(next((text for text in _texts(root, field) if text.strip()), None) for field in _FIELDS))

    def write(self, target: Path, caption: str) -> None:
        """Set the description and the alternative text in the default language; everything else in the file stays.

        Raises:
            StorageError: There is something that is not an XMP file, or cannot be written; it is as it was before.
        """
        document = _parse(target) or parseString(_NEW)  # noqa: S318 - text of this module
        root = _root(document, target)
        for field in _FIELDS:
            _set(root, field, xml_text(caption))
        try:
            text = "\n".join([*_declaration(document), *map(_xml, document.childNodes)]) + "\n"
        except RecursionError as error:
            raise StorageError(f"{target} is nested too deep; left as it is") from error
        self._folders.write(target, text.encode())

    def close(self) -> None:
        """Do nothing, since there is no helper process."""


def _parse(target: Path) -> Document | None:
    """Read the file at ``target``; ``None`` if there is no file, or only white space in it."""
    data = contents(target)
    if data is None or not data.strip():
        return None

    def refuse(*_: object) -> None:
        raise StorageError(f"{target} has a DOCTYPE, which XMP files do not need; the file was left as it is")

    try:
        # The first pass is for the DOCTYPE alone: it is refused before any entity that it declares can grow.
        first = expat.ParserCreate()
        first.StartDoctypeDeclHandler = refuse
        first.Parse(data, True)
        return parseString(data)  # noqa: S318
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise StorageError(f"{target} is damaged ({error}); left as it is, so repair it or move it away") from error


def _root(document: Document, target: Path) -> Element:
    """Return the element that holds all descriptions: the document's own, or one in a wrapper such as ``x:xmpmeta``."""
    whole = document.documentElement
    assert whole is not None
    if (whole.namespaceURI, whole.localName) == _expanded("rdf:RDF"):
        return whole
    inside = _children(whole, "rdf:RDF")
    if not inside:
        raise StorageError(f"{target} is not an XMP file (it does not hold rdf:RDF); left as it is, so move it away")
    return inside[0]


def _children(parent: Element, *names: str) -> list[Element]:
    """Return the elements right below ``parent`` that have one of the names, whatever their prefixes."""
    wanted = {_expanded(name) for name in names}
    elements = [child for child in parent.childNodes if isinstance(child, Element)]
    return [element for element in elements if (element.namespaceURI, element.localName) in wanted]


def _expanded(name: str) -> tuple[str, str]:
    prefix, _, local = name.partition(":")
    return _NAMESPACES[prefix], local


def _texts(root: Element, field: str) -> Iterator[str]:
    """Yield the field's text in the default language, in each of the forms that it can have."""
    for description in _children(root, "rdf:Description"):
        for element in _children(description, field):
            yield _text(_default(element))
        yield description.getAttributeNS(*_expanded(field))


def _default(element: Element) -> Element:
    """Return the element with the text in the default language: a list item, made if need be, or the field itself."""
    containers = _children(element, "rdf:Alt", "rdf:Bag", "rdf:Seq")
    if not containers:
        return element
    items = _children(containers[0], "rdf:li")
    for item in items:
        # An item without a language breaks the standard, but readers take it for the default.
        if item.getAttributeNS(*_expanded("xml:lang")).lower() in {"", "x-default"}:
            return item
    return _add(containers[0], "rdf:li", before=items[0] if items else None)


def _text(element: Element) -> str:
    return "".join(child.data for child in element.childNodes if isinstance(child, Text))


def _set(root: Element, field: str, text: str) -> None:
    """Put ``text`` wherever the field is, or into the first description if the field is missing."""
    descriptions = _children(root, "rdf:Description")
    if not descriptions:
        descriptions = [_add(root, "rdf:Description")]
        descriptions[0].setAttributeNS(_NAMESPACES["rdf"], f"{descriptions[0].prefix}:about", "")
    home = descriptions[0]
    for description in descriptions:
        if description.hasAttributeNS(*_expanded(field)):
            description.removeAttributeNS(*_expanded(field))
            home = description
    elements = [element for description in descriptions for element in _children(description, field)]
    for element in elements or [_add(home, field)]:
        holder = _default(element)
        _clear(holder)
        if holder is element:
            holder = _add(_add(element, "rdf:Alt"), "rdf:li")
        holder.setAttributeNS(_NAMESPACES["xml"], "xml:lang", "x-default")
        holder.appendChild(_document(root).createTextNode(text))


def _clear(element: Element) -> None:
    """Remove text and elements; comments and processing instructions stay."""
    for child in list(element.childNodes):
        if child.nodeType not in {Node.COMMENT_NODE, Node.PROCESSING_INSTRUCTION_NODE}:
            element.removeChild(child)


def _add(parent: Element, name: str, before: Element | None = None) -> Element:
    """Add an element, which declares its prefix unless that is bound to the right namespace there already."""
    prefix, namespace = name.partition(":")[0], _expanded(name)[0]
    child = _document(parent).createElementNS(namespace, name)
    if _bound(parent, prefix) != namespace:
        child.setAttributeNS(_NAMESPACES["xmlns"], f"xmlns:{prefix}", namespace)
    parent.insertBefore(child, before)
    return child


def _bound(element: Element, prefix: str) -> str | None:
    """Return the namespace that a prefix has inside ``element``."""
    node: Node | None = element
    while isinstance(node, Element):
        if node.hasAttribute(f"xmlns:{prefix}"):
            return node.getAttribute(f"xmlns:{prefix}")
        node = node.parentNode
    return None


def _document(element: Element) -> Document:
    assert element.ownerDocument is not None
    return element.ownerDocument


def _declaration(document: Document) -> list[str]:
    if not document.version:
        return []
    standalone = ' standalone="yes"' if document.standalone else ""
    return [f'<?xml version="1.0" encoding="UTF-8"{standalone}?>']


def _xml(node: Node) -> str:
    """Return a node as XML. The writer of ``minidom`` loses escaped line ends, so they would be lost from the file."""
    if isinstance(node, Element):
        attributes = "".join(f' {name}="{escape(value, _ATTRIBUTE_ESCAPES)}"' for name, value in node.attributes.items())
        inside = "".join(map(_xml, node.childNodes))
        return f"<{node.tagName}{attributes}>{inside}</{node.tagName}>" if inside else f"<{node.tagName}{attributes}/>"
    if isinstance(node, Text) and not isinstance(node, CDATASection):
        return escape(node.data, _TEXT_ESCAPES)
    return node.toxml()
