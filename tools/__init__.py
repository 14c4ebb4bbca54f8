"""Programs: parse, call the library, write files."""
