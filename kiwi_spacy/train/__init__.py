"""Training, checkpoints and packages of both engines."""
