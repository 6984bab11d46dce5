"""Where the checkout and the development data are."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CAPGEN_SHARED", ROOT.parent / "shared"))
