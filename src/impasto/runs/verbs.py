"""Verbs of the runs that train something, as their manifests have them."""

CLASSIFIER = "train"
ENHANCEMENT, SEGMENTATION = MODELS = ("train-enhance", "train-segment")  # networks from picture to picture
GAN = "train-gan"

TRAININGS = (CLASSIFIER, *MODELS, GAN)
