"""Data loading: from records on disk to batches of tensors."""
