"""An XMP packet, in a file of its own or in an image: the texts of its caption read in every form that RDF has, and set.

All else in the packet stays; only namespace declarations are moved to the start of their tag.
"""

import re
from html import unescape

from lxml import etree

from capgen.errors import DataError
from capgen.outputs.fields import Fields, joined
from capgen.outputs.stock_texts import is_stock
from capgen.outputs.xmp_rdf import (
    ABOUT,
    LANGUAGE,
    NAMESPACES,
    Element,
    Property,
    added,
    children,
    clear,
    default_item,
    elements_in,
    find_rdf,
    merged,
    property_of,
    resolve_references,
)

DESCRIPTION, ALTERNATIVE = "dc:description", "Iptc4xmpCore:AltTextAccessibility"
IMAGE_DESCRIPTION, USER_COMMENT = "tiff:ImageDescription", "exif:UserComment"
DESCRIPTIONS = (DESCRIPTION, IMAGE_DESCRIPTION, USER_COMMENT)
"""The properties that hold a description; the others are copies of fields of Exif, which some programs show first."""

NOTES = "acdsee:notes"
"""ACDSee's notes, which programs take for the description where there is no other."""

_TAGS = {
    f"{prefix}:{local}": f"{{{NAMESPACES[prefix]}}}{local}"
    for prefix, _, local in (name.partition(":") for name in (*DESCRIPTIONS, ALTERNATIVE, NOTES))
}
_NAMES = {tag: name for name, tag in _TAGS.items()}
_NEW = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{NAMESPACES["rdf"]}">
  <rdf:Description xmlns:dc="{NAMESPACES["dc"]}" xmlns:Iptc4xmpCore="{NAMESPACES["Iptc4xmpCore"]}" rdf:about=""/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()
_TAG = re.compile(r"<[^<>]*(?:>|$)|<")
"""A tag. What is in one that is not closed may be words, so only its beginning is one, unless the packet ends in it."""

_ENCODING = re.compile(r"""^(<\?xml\b[^>]*?)\s+encoding\s*=\s*["'][^"'>]*["']""")
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, strip_cdata=False)


def xml_text(caption: str) -> str:
    """Return the caption as XML can hold it: without the control characters that XML 1.0 forbids, and stripped."""
    return _FORBIDDEN.sub("", caption).strip()


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
        self._rdf = resolve_references(find_rdf(self._root), _NAMES)

    def properties(self) -> dict[str, Property]:
        """Return what the packet says in each property that it has, with all occurrences."""
        found: dict[str, list[Property]] = {name: [] for name in _TAGS}
        for description in self._rdf.iterchildren("*"):
            for element in children(description, _NAMES):
                found[_NAMES[element.tag]].append(property_of(element))
            for tag, name in _NAMES.items():
                if text := description.get(tag):
                    found[name].append(Property(text))
        return {name: merged(parts) for name, parts in found.items() if parts}

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
        descriptions = elements_in(self._rdf)
        if not descriptions:
            descriptions = [added(self._rdf, "rdf:Description")]
            descriptions[0].set(ABOUT, "")
        with_attribute = [one for one in descriptions if one.attrib.pop(_TAGS[name], None) is not None]
        elements = [element for description in descriptions for element in children(description, [_TAGS[name]])]
        for element in elements or [added([*descriptions[:1], *with_attribute][-1], name)]:
            holder = element if name == NOTES else default_item(element)
            clear(holder)
            if name != NOTES:  # which have no languages
                holder.set(LANGUAGE, "x-default")
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
