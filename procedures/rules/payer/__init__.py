"""What the rows of the payer table mean."""
