"""Images: pixels in and out of files.

Nothing here imports torch, libvips or Pillow before it is used, so that the command line starts at once.
"""

from .picture import Picture
from .read import read
from .recipe import read_recipe
from .write import write

__all__ = ["Picture", "read", "read_recipe", "write"]
