"""Words for pictures that came without: captions of other data sets, propagated captions, continuations."""
