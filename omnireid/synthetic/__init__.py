"""People that nobody is, written in every data set's real layout."""
