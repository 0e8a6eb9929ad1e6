"""Systems side by side on annotated notes."""
