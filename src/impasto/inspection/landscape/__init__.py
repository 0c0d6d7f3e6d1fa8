"""landscape: what the loss is around the weights of a network, along a line or over a plane."""
