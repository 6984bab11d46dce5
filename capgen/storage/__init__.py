"""Where bytes are kept: files that appear whole or not at all, locks, URLs, and the folders of this user."""
