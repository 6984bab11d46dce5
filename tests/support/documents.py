"""The commands that README and documentation show."""

import re

from support.paths import ROOT


def commands(page, heading):
    """Return the commands of a page's first block below a heading."""
    text = (ROOT / page).read_text()
    block = re.search(rf"{re.escape(heading)}.*?```sh\n(.*?)```", text, re.DOTALL).group(1)
    return [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]
