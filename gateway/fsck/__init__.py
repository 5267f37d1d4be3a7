"""Re-derives all that the store promises, names each fault in words, and heals what it may."""
