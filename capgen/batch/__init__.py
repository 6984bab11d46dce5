"""A job over many images: which need a caption, where captions go, and the engine that does the work."""
