"""Names of the optimizers, schedules and precisions, without torch: the command line must not wait for it."""

from typing import Literal

OptimizerName = Literal["sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw", "eve", "eve-v1"]

ScheduleName = Literal["constant", "linear", "cosine", "exponential", "warm-up", "one-cycle"]
PrecisionName = Literal["32-true", "16-mixed", "bf16-mixed"]
