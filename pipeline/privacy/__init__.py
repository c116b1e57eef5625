"""Who is private: datasets that are declared so, the key, and names that tell nothing."""
