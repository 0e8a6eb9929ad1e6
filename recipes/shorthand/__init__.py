"""A grammar of chart shorthand: lines as charts have them, each with its annotation by the guide."""
