"""Atlas: a whole network as a web site that needs no server."""
