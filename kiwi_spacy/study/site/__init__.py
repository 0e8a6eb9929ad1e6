"""What a site asks of its own annotated notes."""
