"""Annotations checked against rules, and annotators against each other."""
