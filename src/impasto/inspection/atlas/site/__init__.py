"""The atlas's web site: pages, style and scripts, written from what an atlas holds."""
