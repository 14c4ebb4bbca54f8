"""Converters of published checkpoints: safe to read, complete, verified (IRM, section 5.1)."""
