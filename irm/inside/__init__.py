"""See inside a model: what its layers look at, how loud instructions are, where images lie."""
