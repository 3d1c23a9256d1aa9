"""The adversarial game and its mathematics: losses, penalties, the alternating step."""
