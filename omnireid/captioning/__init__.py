"""Text for images without captions: captions of other data sets, propagated captions, continuations."""
