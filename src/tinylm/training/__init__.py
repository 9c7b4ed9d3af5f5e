"""The loss goes down."""
