"""Skills texts to skills, and how well a job's skills cover a user's."""
