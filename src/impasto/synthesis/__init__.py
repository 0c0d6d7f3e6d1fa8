"""synthesis: moves pixels downhill: the engine, style transfer, texture synthesis and feature inversion."""
