"""What ``shipway image`` asks of the images in the home's layout and in registries: JSON-ready answers, no printing."""
