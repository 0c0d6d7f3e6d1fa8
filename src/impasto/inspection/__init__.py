"""inspection: looks inside networks: visualization, dreams, attribution, landscapes, and an atlas."""
