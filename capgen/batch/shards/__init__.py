"""Captions of very many images, in shards: one file of captions for each archive, or for each so many images."""
