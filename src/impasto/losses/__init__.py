"""losses: what is minimised; style through statistics that add up, content, smoothness."""
