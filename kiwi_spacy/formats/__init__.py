"""Files of notes and annotations, in and out. Nothing here knows an engine."""
