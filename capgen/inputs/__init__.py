"""Which images are captioned: files, folders, patterns, lists, archives, and what arrives later."""
