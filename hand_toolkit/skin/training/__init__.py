"""Training of the completion network: subjects, synthetic photos, the loop, and scores."""
