"""How results are written, one module a format."""

from capgen.registry import Registry

FORMATS = Registry("format", {"text": "capgen.outputs.text:TextFormat", "jsonl": "capgen.outputs.jsonl:JsonLinesFormat"})
