"""training: moves weights: the loop, schedules, optimizers, precision, the learning-rate finder."""
