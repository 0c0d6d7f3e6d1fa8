"""Translation: networks from picture to picture, trained against degradations made as they learn, and their use."""
