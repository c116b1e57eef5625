"""Where samples come from: the collection, its crops, and what is drawn of them."""
