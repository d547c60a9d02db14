"""What DVC makes of a study: its stages, which of them are changed, and their running beside one another."""
