"""Names of the tasks and architectures, without torch: the command line must not wait for it."""

from typing import Literal

Task = Literal["superres", "restore", "colorize", "segment"]
ArchitectureName = Literal["light", "unet", "transformer"]
Norm = Literal["none", "batch", "weight", "spectral"]
