"""How does a decision look to people? One page, rendered from the folder alone."""

from greenlight.release.figures import matplotlib_version
from greenlight.release.page.render import EDITION, render

__all__ = ["EDITION", "matplotlib_version", "render"]
