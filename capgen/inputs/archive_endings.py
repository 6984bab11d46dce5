"""How the names of archives end, by which they are known."""

TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")
"""How the names of tar archives end."""

ARCHIVE_ENDINGS = (*TAR_ENDINGS, ".zip", ".parquet")
"""How the names of files end that hold images."""
