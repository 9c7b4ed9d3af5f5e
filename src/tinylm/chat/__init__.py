"""Chat: conversations, and the formats that turn them into ids."""
