"""Folder: what the units of a network see over the pictures of a folder."""
