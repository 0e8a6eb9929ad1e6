"""Running a pipeline over many notes, any of which may be bad."""
