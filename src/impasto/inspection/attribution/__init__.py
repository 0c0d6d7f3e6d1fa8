"""attribution: which pixels a classifier's score comes from, by several methods, each beside figures that test it."""
