"""Jobs from a file, without a terminal."""
