"""What a job means: networks, weights and operators built, and the identity of their results."""
