"""What a report holds, read as a browser does."""

import json
import re


def data_of(page):
    """Read the page's data as a browser does: up to the first end tag."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script', page, re.DOTALL).group(1))
