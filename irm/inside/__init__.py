"""Inspects a model: attention of its layers, influence of instructions, embeddings of images."""
