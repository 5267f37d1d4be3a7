"""The demo office: 和平区 with 44 units, and the story that is played against it."""
