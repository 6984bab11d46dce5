"""The captioner: an image to a caption. The bundle it is kept in, the search for words, and what comes of an image."""
