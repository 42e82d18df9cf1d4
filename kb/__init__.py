"""What is said: the typed store of notes, lines, claims and papers, how pages become it, and how it is searched."""
