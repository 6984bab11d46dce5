"""An XMP packet, in a file of its own or in an image: the texts of its caption read in every form that RDF has, and set.

Nothing else in a packet is touched.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import unescape
from xml.dom.minidom import CDATASection, Document, Element, Node, Text, parseString
from xml.parsers import expat
from xml.sax.saxutils import escape

from capgen.errors import DataError
from capgen.outputs.fields import Fields, joined
from capgen.outputs.stock_texts import is_stock

DESCRIPTION, ALTERNATIVE = "dc:description", "Iptc4xmpCore:AltTextAccessibility"
IMAGE_DESCRIPTION, USER_COMMENT = "tiff:ImageDescription", "exif:UserComment"
DESCRIPTIONS = (DESCRIPTION, IMAGE_DESCRIPTION, USER_COMMENT)
"""The properties that hold a description; the others are copies of fields of Exif, which some programs show first."""

DEFAULT_LANGUAGES = frozenset({"", "x-default"})
"""An item without a language breaks the standard, but readers take it for the default."""

_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
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


@dataclass(frozen=True)
class Property:
    """What a packet says in one property.

    Attributes:
        text: The text in the default language, or else in the language that comes first; empty if there is none.
        languages: Other languages in which the same text stands once more.
    """

    text: str = ""
    languages: tuple[str, ...] = ()


class Packet:
    """A packet that can be read and changed.

    Args:
        data: Its bytes; by default it is a new one, with no text in it.

    Raises:
        DataError: It is not sound XMP; the message says why, and needs the name of the file before it.
    """

    def __init__(self, data: bytes | None = None) -> None:
        self.is_new = data is None
        self._document = parseString(_NEW) if data is None else _parsed(data)  # noqa: S318 - text of this module
        self._root = _rdf(self._document)

    def property(self, name: str) -> Property:
        """Return what the packet says in a property, with all its occurrences."""
        texts, languages = [], []
        for description in _descriptions(self._root):
            for element in _children(description, name):
                alternatives = _alternatives(element)
                text = _default_text(alternatives)
                texts.append(text)
                languages += [one for one, _, other in alternatives if other == text and one not in DEFAULT_LANGUAGES]
            texts.append(description.getAttributeNS(*_expanded(name)))
        return Property(joined(*texts) or "", tuple(dict.fromkeys(languages)))

    def fields(self) -> Fields:
        """Return description and alternative text as a person wrote them; what cameras write counts as nothing."""
        return fields_of({name: self.property(name).text for name in (*DESCRIPTIONS, ALTERNATIVE)})

    def set(self, fields: Fields) -> None:
        """Set the fields that are not ``None``, in the default language, and wherever the packet says the same once more."""
        for name, text in ((DESCRIPTION, fields.description), (ALTERNATIVE, fields.alternative)):
            if text is not None:
                _set(self._root, name, xml_text(text))
            elif self.is_new:
                _remove(self._root, name)
        if fields.description is not None:
            if fields.in_exif or self.property(IMAGE_DESCRIPTION).text:
                _set(self._root, IMAGE_DESCRIPTION, xml_text(fields.description))
            if (comment := self.property(USER_COMMENT).text) and not is_stock(comment):
                _set(self._root, USER_COMMENT, xml_text(fields.description))

    def __bytes__(self) -> bytes:
        """Return the packet as UTF-8.

        Raises:
            DataError: It is nested too deep.
        """
        document = self._document
        try:
            text = "\n".join([*_declaration(document), *map(_xml, document.childNodes)]) + "\n"
        except RecursionError as error:
            raise DataError("is nested too deep") from error
        return text.encode()


def fields_of(texts: dict[str, str]) -> Fields:
    """Return the fields of texts by property, without those that cameras write."""
    descriptions = (texts.get(name, "") for name in DESCRIPTIONS)
    return Fields(joined(*(text for text in descriptions if not is_stock(text))), joined(texts.get(ALTERNATIVE)))


def salvaged(data: bytes) -> dict[str, Property]:
    """Return what can be found by its tags in a packet that is damaged, so that no words of a person are overlooked."""
    text, found = data.decode(errors="replace"), {}
    for name in (*DESCRIPTIONS, ALTERNATIVE):
        local = name.partition(":")[2]
        element = rf"<(?:[\w.-]+:)?{local}\b[^<>]*>(.*?)(?:</(?:[\w.-]+:)?{local}\b|$)"
        attribute = rf""":{local}\s*=\s*(["'])(.*?)(?:\2|$)"""
        inside = [match[1] or match[3] or "" for match in re.finditer(f"{element}|{attribute}", text, re.DOTALL)]
        plain = [" ".join(unescape(re.sub(r"<[^<>]*>?", " ", one)).split()) for one in inside]
        found[name] = Property(joined(*plain) or "")
    return found


def _parsed(data: bytes) -> Document:
    def refuse(*_: object) -> None:
        raise DataError("has a DOCTYPE, which XMP does not need")

    try:
        # The first pass is for the DOCTYPE alone: it is refused before any entity that it declares can grow.
        first = expat.ParserCreate()
        first.StartDoctypeDeclHandler = refuse
        first.Parse(data, True)
        return parseString(data)  # noqa: S318
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DataError(f"is damaged ({error})") from error


def _rdf(document: Document) -> Element:
    """Return the element that holds all descriptions: the document's own, or one in a wrapper such as ``x:xmpmeta``."""
    whole = document.documentElement
    assert whole is not None
    if (whole.namespaceURI, whole.localName) == _expanded("rdf:RDF"):
        return whole
    inside = _children(whole, "rdf:RDF")
    if not inside:
        raise DataError("is not XMP (it does not hold rdf:RDF)")
    return inside[0]


def _elements(parent: Element) -> list[Element]:
    return [child for child in parent.childNodes if isinstance(child, Element)]


def _children(parent: Element, *names: str) -> list[Element]:
    """Return the elements right below ``parent`` that have one of the names, whatever their prefixes."""
    wanted = {_expanded(name) for name in names}
    return [element for element in _elements(parent) if (element.namespaceURI, element.localName) in wanted]


def _expanded(name: str) -> tuple[str, str]:
    prefix, _, local = name.partition(":")
    return _NAMESPACES[prefix], local


_descriptions = _elements
"""The elements that hold properties: ``rdf:Description``, or a node that is called after its type."""


def _items(container: Element) -> list[Element]:
    """Return the items of a list, ``rdf:li`` or ``rdf:_1``, ``rdf:_2`` ..."""
    inside = [element for element in _elements(container) if element.namespaceURI == _NAMESPACES["rdf"]]
    return [element for element in inside if re.fullmatch(r"li|_\d+", element.localName or "")]


def _container(element: Element) -> Element | None:
    return next(iter(_children(element, "rdf:Alt", "rdf:Bag", "rdf:Seq")), None)


def _alternatives(element: Element) -> list[tuple[str, Element, str]]:
    """Return the texts of a property that are not blank, each with its language in lower case and the element it is in."""
    container = _container(element)
    holders = [element] if container is None else _items(container)
    found = [(_language(holder).lower(), holder, _text(holder).strip()) for holder in holders]
    return [one for one in found if one[2]]


def _default_text(alternatives: Iterable[tuple[str, Element, str]]) -> str:
    """Return the text in the default language, or else the first."""
    return next((text for _, _, text in sorted(alternatives, key=lambda one: one[0] not in DEFAULT_LANGUAGES)), "")


def _language(holder: Element) -> str:
    """Return the language of a text, which may also stand at the ``rdf:value`` in it."""
    for element in (holder, *_elements(holder)):
        if language := element.getAttributeNS(*_expanded("xml:lang")):
            return str(language)
    return ""


def _text(holder: Element) -> str:
    """Return the text of an element: its own, or that of its ``rdf:value`` if it has qualifiers."""
    for element in (holder, *_children(holder, "rdf:Description")):
        for value in _children(element, "rdf:value"):
            return _text(value)
        if element.hasAttributeNS(*_expanded("rdf:value")):
            return str(element.getAttributeNS(*_expanded("rdf:value")))
    return "".join(child.data for child in holder.childNodes if isinstance(child, Text))


def _set(root: Element, name: str, text: str) -> None:
    """Put ``text`` wherever the property is, or into the first description if it is missing."""
    descriptions = _descriptions(root)
    if not descriptions:
        descriptions = [_add(root, "rdf:Description")]
        descriptions[0].setAttributeNS(_NAMESPACES["rdf"], f"{descriptions[0].prefix}:about", "")
    home = descriptions[0]
    for description in descriptions:
        if description.hasAttributeNS(*_expanded(name)):
            description.removeAttributeNS(*_expanded(name))
            home = description
    elements = [element for description in descriptions for element in _children(description, name)]
    for element in elements or [_add(home, name)]:
        holder = _default_item(element)
        _clear(holder)
        if holder is element:
            holder = _add(_add(element, "rdf:Alt"), "rdf:li")
        holder.setAttributeNS(_NAMESPACES["xml"], "xml:lang", "x-default")
        holder.appendChild(_document(root).createTextNode(text))


def _remove(root: Element, name: str) -> None:
    for description in _descriptions(root):
        for element in _children(description, name):
            description.removeChild(element)


def _default_item(element: Element) -> Element:
    """Return the element for the text in the default language: a list item, made if need be, or the property itself.

    What stands for the default in another language is removed, so that no program goes on showing it.
    """
    container = _container(element)
    if container is None:
        return element
    alternatives = _alternatives(element)
    text = _default_text(alternatives)
    for language, item, other in alternatives:
        if other == text and language not in DEFAULT_LANGUAGES:
            container.removeChild(item)
    items = _items(container)
    for item in items:
        if _language(item).lower() in DEFAULT_LANGUAGES:
            return item
    return _add(container, "rdf:li", before=items[0] if items else None)


def _clear(element: Element) -> None:
    """Remove text, elements and attributes; comments, processing instructions and names of namespaces stay."""
    for child in list(element.childNodes):
        if child.nodeType not in {Node.COMMENT_NODE, Node.PROCESSING_INSTRUCTION_NODE}:
            element.removeChild(child)
    for attribute in list(element.attributes.values()):
        if attribute.namespaceURI != _NAMESPACES["xmlns"]:
            element.removeAttributeNode(attribute)


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
