"""What is done: the commit record, the run folder around it, and where objects are stored."""
