"""What ranks all jobs by the similarity of their texts, wherever the work is done."""
