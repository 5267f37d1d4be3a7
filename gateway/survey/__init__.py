"""What an operator asks: how the office stands, what happened to one document, what is wrong."""
