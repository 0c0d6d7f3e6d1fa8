"""learning: classifiers from pretrained networks: data, features, stages, views of the results, submissions."""
