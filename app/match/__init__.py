"""Ranking by skills: jobs for a user, and users for a job."""
