"""Pages: queries and drawing only."""
