"""gan: adversarial training; of networks that restore pictures, and of generators that make them from noise."""
