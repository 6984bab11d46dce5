"""The properties of XMP in RDF: every form that a text has there, in which language it is, and how it is set.

What comes in and goes out are elements of lxml, of ``rdf:RDF`` and what is in it.
"""

import re
from collections.abc import Collection, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

from lxml import etree

from capgen.errors import DataError
from capgen.outputs.fields import joined

DEFAULT_LANGUAGES = frozenset({"", "x-default"})
"""An item without a language breaks the standard, but readers take it for the default."""

Element: TypeAlias = Any
"""An element of lxml, which has no types."""

NAMESPACES = {
    "acdsee": "http://ns.acdsee.com/iptc/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
}
"""The namespaces by their usual prefixes."""

LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
"""The attribute ``xml:lang``."""

_RDF, ABOUT, _ID, _NODE_ID, _RESOURCE, _RDF_DESCRIPTION, _VALUE, *_CONTAINERS = (
    f"{{{NAMESPACES['rdf']}}}{local}"
    for local in ("RDF", "about", "ID", "nodeID", "resource", "Description", "value", "Alt", "Bag", "Seq")
)

_ITEM = re.compile(re.escape(f"{{{NAMESPACES['rdf']}}}") + r"(?:li|_\d+)")

_ALL_TEXT = etree.XPath("string()", smart_strings=False)


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


def find_rdf(root: Element) -> Element:
    """Return the element that holds all descriptions: the document's own, or one in a wrapper such as ``x:xmpmeta``.

    Raises:
        DataError: There is none.
    """
    for element in (root, *elements_in(root)):
        if element.tag == _RDF:
            return element
    raise DataError("is not XMP (it does not hold rdf:RDF)")


def resolve_references(rdf: Element, tags: Iterable[str]) -> Element:
    """Put the nodes that a property refers to into it, which says the same.

    Args:
        rdf: The element ``rdf:RDF``, which is changed.
        tags: The tags of the properties.

    Returns:
        ``rdf``.
    """
    nodes = _nodes_by_reference(rdf)
    for element in rdf.iter(*tags) if nodes else ():
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


def property_of(element: Element) -> Property:
    """Return what one element says."""
    alternatives = _alternatives(element)
    defaults = _defaults(alternatives)
    languages = tuple(one for one, _, text in alternatives if text in defaults and one not in DEFAULT_LANGUAGES)
    translations = tuple((one, text) for one, _, text in alternatives if text not in defaults)
    return Property(joined(*defaults) or "", languages, translations)


def merged(parts: list[Property]) -> Property:
    """Return what all occurrences of a property say together."""
    languages = dict.fromkeys(language for part in parts for language in part.languages)
    translations = tuple(one for part in parts for one in part.translations)
    return Property(joined(*(part.text for part in parts)) or "", tuple(languages), translations)


def default_item(element: Element) -> Element:
    """Return the list item for a property's text in the default language, made if need be.

    What stands for the default in another language is removed, so that no program goes on showing it.
    """
    container = _container(element)
    if container is None:
        clear(element)
        return added(added(element, "rdf:Alt"), "rdf:li")
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
    item = added(container, "rdf:li")
    for first in items[:1]:
        first.addprevious(item)
    return item


def clear(element: Element) -> None:
    """Remove text, elements and attributes; comments, processing instructions and names of namespaces stay."""
    element.text = None
    for child in element.getchildren():
        child.tail = None
        if isinstance(child.tag, str):
            element.remove(child)
    element.attrib.clear()


def added(parent: Element, name: str) -> Element:
    """Add an element, which declares its prefix unless its namespace has one there already."""
    prefix, _, local = name.partition(":")
    child = etree.Element(f"{{{NAMESPACES[prefix]}}}{local}", nsmap={prefix: NAMESPACES[prefix]})
    parent.append(child)
    return child


def elements_in(parent: Element) -> list[Element]:
    """Return the elements in another: in ``rdf:RDF`` each is a description, whether it is called that or after its type."""
    return list(parent.iterchildren("*"))


def children(parent: Element, tags: Collection[str]) -> list[Element]:
    """Return the elements in another that have one of some tags."""
    return [child for child in parent if child.tag in tags]  # ten times as fast as ``iterchildren`` with tags


def _container(element: Element) -> Element | None:
    return next(iter(children(element, _CONTAINERS)), None)


def _items(container: Element) -> list[Element]:
    """Return the items of a list, ``rdf:li`` or ``rdf:_1``, ``rdf:_2`` ..."""
    return [element for element in elements_in(container) if _ITEM.fullmatch(element.tag)]


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
    inside = (one.get(LANGUAGE) for one in elements_in(holder))
    return holder.get(LANGUAGE) or next(filter(None, inside), "")


def _text(holder: Element) -> str:
    """Return the text of an element: all that is in it, or that of its ``rdf:value`` if it has qualifiers."""
    for element in (holder, *children(holder, [_RDF_DESCRIPTION])):
        for value in children(element, [_VALUE]):
            return _text(value)
        if (text := element.get(_VALUE)) is not None:
            return str(text)
    return str(_ALL_TEXT(holder))
