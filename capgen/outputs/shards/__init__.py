"""Captions of very many pictures, in shards: archives or lists of pictures in, one file of captions out for each.

``sources`` says what is to be done as tasks, ``run`` does one of them, ``target`` knows where shards go and which are done;
one module a format reads pictures from it, writes shards in it, or both.
"""

from typing import Any

from capgen.registry import Registry

FORMATS: Registry[Any] = Registry(
    "format of shards",
    {
        "jsonl": "capgen.outputs.shards.jsonl:JsonLinesShard",
        "parquet": "capgen.outputs.shards.parquet:ParquetShard",
        "tar": "capgen.outputs.shards.tar:TarShard",
    },
)
