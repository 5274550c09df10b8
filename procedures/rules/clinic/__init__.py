"""What the rows of the clinic's own safety tables mean: blood thinners, steroids, fasting."""
