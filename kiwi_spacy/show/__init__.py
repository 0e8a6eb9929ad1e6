"""Annotated notes as pages and tables."""
