"""Images: pixels in and out of files.

Nothing here imports torch, libvips or Pillow before it is used, so that the command line starts at once.
"""

from impasto.images.mask import read_mask
from impasto.images.picture import Picture
from impasto.images.read import read
from impasto.images.recipe import read_recipe
from impasto.images.replace import require_writable
from impasto.images.write import require_format, write

__all__ = ["Picture", "read", "read_mask", "read_recipe", "require_format", "require_writable", "write"]
