"""The people's door: passwords, their own data, and the settings that their mail programs fetch."""
