"""runs: options files, recipes, progress, and doing it again."""
