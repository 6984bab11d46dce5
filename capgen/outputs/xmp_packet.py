"""An XMP packet, in a file of its own or in an image: the texts of its caption read in every form that RDF has, and set.

All else in the packet stays; only namespace declarations are moved to the start of their tag.
"""

import re
from collections.abc import Collection, Iterable
from copy import deepcopy
from dataclasses import dataclass
from html import unescape
from typing import Any, TypeAlias

from lxml import etree

from capgen.errors import DataError
from capgen.outputs.fields import Fields, joined
from capgen.outputs.stock_texts import is_stock

DESCRIPTION, ALTERNATIVE = "dc:description", "Iptc4xmpCore:AltTextAccessibility"
IMAGE_DESCRIPTION, USER_COMMENT = "tiff:ImageDescription", "exif:UserComment"
DESCRIPTIONS = (DESCRIPTION, IMAGE_DESCRIPTION, USER_COMMENT)
"""The properties that hold a description; the others are copies of fields of Exif, which some programs show first."""

NOTES = "acdsee:notes"
"""ACDSee's notes, which programs take for the description where there is no other."""

DEFAULT_LANGUAGES = frozenset({"", "x-default"})
"""An item without a language breaks the standard, but readers take it for the default."""

Element: TypeAlias = Any
"""An element of lxml, which has no types."""

_NAMESPACES = {
    "acdsee": "http://ns.acdsee.com/iptc/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
}
_TAGS = {
    f"{prefix}:{local}": f"{{{_NAMESPACES[prefix]}}}{local}"
    for prefix, _, local in (name.partition(":") for name in (*DESCRIPTIONS, ALTERNATIVE, NOTES))
}
_NAMES = {tag: name for name, tag in _TAGS.items()}
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_RDF, _ABOUT, _ID, _NODE_ID, _RESOURCE, _RDF_DESCRIPTION, _VALUE, *_CONTAINERS = (
    f"{{{_NAMESPACES['rdf']}}}{local}"
    for local in ("RDF", "about", "ID", "nodeID", "resource", "Description", "value", "Alt", "Bag", "Seq")
)
_ITEM = re.compile(re.escape(f"{{{_NAMESPACES['rdf']}}}") + r"(?:li|_\d+)")
_NEW = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{_NAMESPACES["rdf"]}">
  <rdf:Description xmlns:dc="{_NAMESPACES["dc"]}" xmlns:Iptc4xmpCore="{_NAMESPACES["Iptc4xmpCore"]}" rdf:about=""/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()
_TAG = re.compile(r"<[^<>]*(?:>|$)|<")
"""A tag. What is in one that is not closed may be words, so only its beginning is one, unless the packet ends in it."""

_ENCODING = re.compile(r"""^(<\?xml\b[^>]*?)\s+encoding\s*=\s*["'][^"'>]*["']""")
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ALL_TEXT = etree.XPath("string()", smart_strings=False)
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, strip_cdata=False)


def xml_text(caption: str) -> str:
    """Return the caption as XML can hold it: without the control characters that XML 1.0 forbids, and stripped."""
    return _FORBIDDEN.sub("", caption).strip()


@dataclass(frozen=True)
class Property:
    """What a packet says in one property.

    Attributes:
        text: The text in the default language, or else in the language that comes first; empty if there is none.
        languages: Other languages in which the same text stands once more.
        translations: The languages that say something else, each with its text.
    """

    text: str = ""
    languages: tuple[str, ...] = ()
    translations: tuple[tuple[str, str], ...] = ()


class Packet:
    """A packet that can be read and changed.

    Args:
        data: Its bytes; by default it is a new one, with no text in it.

    Raises:
        DataError: It is not sound XMP; the message says why, and needs the name of the file before it.
    """

    def __init__(self, data: bytes | None = None) -> None:
        self._is_new = data is None
        self._root = _parsed(_NEW if data is None else data)
        self._rdf = _with_references_resolved(_rdf(self._root))

    def properties(self) -> dict[str, Property]:
        """Return what the packet says in each property that it has, with all occurrences."""
        found: dict[str, list[Property]] = {name: [] for name in _TAGS}
        for description in self._rdf.iterchildren("*"):
            for element in _children(description, _NAMES):
                found[_NAMES[element.tag]].append(_property(element))
            for tag, name in _NAMES.items():
                if text := description.get(tag):
                    found[name].append(Property(text))
        return {name: _joint(parts) for name, parts in found.items() if parts}

    def fields(self) -> Fields:
        """Return description and alternative text as a person wrote them; what cameras write counts as nothing."""
        return fields_of({name: one.text for name, one in self.properties().items()})

    def set(self, fields: Fields) -> None:
        """Set the fields that are not ``None``, in the default language, and wherever the packet says the same once more."""
        if fields.description is not None:
            texts = {name: one.text for name, one in self.properties().items()}
            self._set(DESCRIPTION, fields.description)
            if fields.in_exif or texts.get(IMAGE_DESCRIPTION):
                self._set(IMAGE_DESCRIPTION, fields.description)
            if (comment := texts.get(USER_COMMENT)) and not is_stock(comment):
                self._set(USER_COMMENT, fields.description)
            if NOTES in texts and texts[NOTES] == fields_of(texts).description:
                self._set(NOTES, fields.description)
        if fields.alternative is not None:
            self._set(ALTERNATIVE, fields.alternative)
        if self._is_new:
            etree.indent(self._root, " ")

    def __bytes__(self) -> bytes:
        """Return the packet as UTF-8."""
        root, standalone = self._root, self._root.getroottree().docinfo.standalone
        nodes = [*reversed(list(root.itersiblings(preceding=True))), root, *root.itersiblings()]
        lines = [etree.tostring(node, encoding="UTF-8", xml_declaration=False, with_tail=False) for node in nodes]
        if standalone is not None:  # which it is where there is no declaration
            lines.insert(0, b'<?xml version="1.0" encoding="UTF-8"%s?>' % (b' standalone="yes"' if standalone else b""))
        return b"\n".join(lines) + b"\n"

    def _set(self, name: str, text: str) -> None:
        """Put a text wherever the property is, or into the first description if it is missing."""
        descriptions = _elements(self._rdf)
        if not descriptions:
            descriptions = [_added(self._rdf, "rdf:Description")]
            descriptions[0].set(_ABOUT, "")
        with_attribute = [one for one in descriptions if one.attrib.pop(_TAGS[name], None) is not None]
        elements = [element for description in descriptions for element in _children(description, [_TAGS[name]])]
        for element in elements or [_added([*descriptions[:1], *with_attribute][-1], name)]:
            holder = element if name == NOTES else _default_item(element)
            _clear(holder)
            if name != NOTES:  # which have no languages
                holder.set(_LANGUAGE, "x-default")
            holder.text = xml_text(text)


def fields_of(texts: dict[str, str]) -> Fields:
    """Return the fields of texts by property, without those that cameras write."""
    descriptions = (texts[name] for name in DESCRIPTIONS if texts.get(name))
    description = joined(*(text for text in descriptions if not is_stock(text))) or joined(texts.get(NOTES))
    return Fields(description, joined(texts.get(ALTERNATIVE)))


def salvaged(data: bytes) -> dict[str, Property]:
    """Return what can be found by its tags in a packet that is damaged, so that no words of a person are overlooked."""
    data, found = _plain(data), {}
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    for name in _TAGS:
        local = name.partition(":")[2]
        element = rf"<(?:[\w.-]+:)?{local}\b[^<>]*>(.*?)(?:</(?:[\w.-]+:)?{local}\b|$)"
        attribute = rf""":{local}\s*=\s*(["'])(.*?)(?:\2|$)"""
        inside = [match[1] or match[3] or "" for match in re.finditer(f"{element}|{attribute}", text, re.DOTALL)]
        plain = [" ".join(unescape(_TAG.sub(" ", one)).split()) for one in inside]
        found[name] = Property(joined(*plain) or "")
    return found


def _parsed(data: bytes) -> Element:
    """Return the root of a document. libxml2 stops entities that grow, so that a DOCTYPE may be refused afterwards."""
    data = _plain(data)
    try:
        root = etree.fromstring(data, _PARSER)
        has_doctype = root.getroottree().docinfo.internalDTD is not None
    except etree.XMLSyntaxError as error:
        has_doctype = b"<!DOCTYPE" in data
        if not has_doctype and error.code == etree.ErrorTypes.ERR_RESOURCE_LIMIT:
            raise DataError("is too large or nested too deep") from error
        if not has_doctype:
            raise DataError(f"is damaged ({error.msg})") from error
    if has_doctype:
        raise DataError("has a DOCTYPE, which XMP does not need")
    return root


def _plain(data: bytes) -> bytes:
    """Return a packet without the padding around it, and one in UTF-16 or UTF-32 as UTF-8, whether it says so or not."""
    start = data.find(b"<")
    after = data[start + 1 : start + 4]
    if start < 0 or after[::2] != b"\0\0":
        return data.strip(b"\0 \t\r\n")
    if after == b"\0\0\0":
        encoding = "utf-32-be" if start % 4 else "utf-32-le"
    else:
        encoding = "utf-16-be" if start % 2 else "utf-16-le"
    text = data.decode(encoding, errors="replace").strip("\ufeff\0 \t\r\n")
    return _ENCODING.sub(r"\1", text).encode(errors="replace")


def _with_references_resolved(rdf: Element) -> Element:
    """Put the nodes that a property refers to into it, which says the same."""
    nodes = _nodes_by_reference(rdf)
    for element in rdf.iter(*_NAMES) if nodes else ():
        node = nodes.get(element.get(_NODE_ID) or element.get(_RESOURCE, ""))
        if node is not None and len(element) == 0:
            element.attrib.clear()
            element.append(deepcopy(node))
            for attribute in (_NODE_ID, _ID):
                element[0].attrib.pop(attribute, None)
            if node.getparent() is rdf and not any(_refers(one, node) for one in rdf.iter()):
                rdf.remove(node)
    return rdf


def _nodes_by_reference(rdf: Element) -> dict[str, Element]:
    """Return the nodes that have a name, by what refers to them."""
    return {
        f"{before}{name}": node
        for node in rdf.iter(*_CONTAINERS)
        for attribute, before in ((_NODE_ID, ""), (_ID, "#"))
        if (name := node.get(attribute))
    }


def _refers(element: Element, node: Element) -> bool:
    if element is node:
        return False
    names = {element.get(_NODE_ID), element.get(_RESOURCE, "").removeprefix("#")} - {None, ""}
    return bool(names & {node.get(_NODE_ID), node.get(_ID)})


def _rdf(root: Element) -> Element:
    """Return the element that holds all descriptions: the document's own, or one in a wrapper such as ``x:xmpmeta``."""
    for element in (root, *_elements(root)):
        if element.tag == _RDF:
            return element
    raise DataError("is not XMP (it does not hold rdf:RDF)")


def _property(element: Element) -> Property:
    """Return what one element says."""
    alternatives = _alternatives(element)
    defaults = _defaults(alternatives)
    languages = tuple(one for one, _, text in alternatives if text in defaults and one not in DEFAULT_LANGUAGES)
    translations = tuple((one, text) for one, _, text in alternatives if text not in defaults)
    return Property(joined(*defaults) or "", languages, translations)


def _joint(parts: list[Property]) -> Property:
    languages = dict.fromkeys(language for part in parts for language in part.languages)
    translations = tuple(one for part in parts for one in part.translations)
    return Property(joined(*(part.text for part in parts)) or "", tuple(languages), translations)


def _elements(parent: Element) -> list[Element]:
    """Return the elements in another: in ``rdf:RDF`` each is a description, whether it is called that or after its type."""
    return list(parent.iterchildren("*"))


def _children(parent: Element, tags: Collection[str]) -> list[Element]:
    return [child for child in parent if child.tag in tags]  # ten times as fast as ``iterchildren`` with tags


def _container(element: Element) -> Element | None:
    return next(iter(_children(element, _CONTAINERS)), None)


def _items(container: Element) -> list[Element]:
    """Return the items of a list, ``rdf:li`` or ``rdf:_1``, ``rdf:_2`` ..."""
    return [element for element in _elements(container) if _ITEM.fullmatch(element.tag)]


def _alternatives(element: Element) -> list[tuple[str, Element, str]]:
    """Return the texts of a property that are not blank, each with its language in lower case and the element it is in."""
    container = _container(element)
    holders = [element] if container is None else _items(container)
    found = [(_language(holder).lower(), holder, _text(holder).strip()) for holder in holders]
    return [one for one in found if one[2]]


def _defaults(alternatives: Iterable[tuple[str, Element, str]]) -> list[str]:
    """Return the texts in the default language, of which there should be one, or else the first text."""
    texts = [(text, language in DEFAULT_LANGUAGES) for language, _, text in alternatives]
    return [text for text, is_default in texts if is_default] or [text for text, _ in texts[:1]]


def _language(holder: Element) -> str:
    """Return the language of a text, which may also stand at the ``rdf:value`` in it."""
    inside = (one.get(_LANGUAGE) for one in _elements(holder))
    return holder.get(_LANGUAGE) or next(filter(None, inside), "")


def _text(holder: Element) -> str:
    """Return the text of an element: all that is in it, or that of its ``rdf:value`` if it has qualifiers."""
    for element in (holder, *_children(holder, [_RDF_DESCRIPTION])):
        for value in _children(element, [_VALUE]):
            return _text(value)
        if (text := element.get(_VALUE)) is not None:
            return str(text)
    return str(_ALL_TEXT(holder))


def _default_item(element: Element) -> Element:
    """Return the list item for a property's text in the default language, made if need be.

    What stands for the default in another language is removed, so that no program goes on showing it.
    """
    container = _container(element)
    if container is None:
        _clear(element)
        return _added(_added(element, "rdf:Alt"), "rdf:li")
    alternatives = _alternatives(element)
    texts = _defaults(alternatives)
    for language, item, text in alternatives:
        if text in texts and language not in DEFAULT_LANGUAGES:
            container.remove(item)
    items = _items(container)
    in_default = [item for item in items if _language(item).lower() in DEFAULT_LANGUAGES]
    for item in in_default[1:]:
        container.remove(item)
    if in_default:
        return in_default[0]
    item = _added(container, "rdf:li")
    for first in items[:1]:
        first.addprevious(item)
    return item


def _clear(element: Element) -> None:
    """Remove text, elements and attributes; comments, processing instructions and names of namespaces stay."""
    element.text = None
    for child in element.getchildren():
        child.tail = None
        if isinstance(child.tag, str):
            element.remove(child)
    element.attrib.clear()


def _added(parent: Element, name: str) -> Element:
    """Add an element, which declares its prefix unless its namespace has one there already."""
    prefix, _, local = name.partition(":")
    child = etree.Element(f"{{{_NAMESPACES[prefix]}}}{local}", nsmap={prefix: _NAMESPACES[prefix]})
    parent.append(child)
    return child
