"""synthesis: moves pixels downhill; the engine and style transfer."""
