"""Files of conversations, in every kind that people have."""

from tinylm.chat.files.chat_file import BUILT_IN, KINDS, ChatFile, read_chat_file
from tinylm.chat.files.describe import counted, describe, shown

__all__ = ["BUILT_IN", "KINDS", "ChatFile", "counted", "describe", "read_chat_file", "shown"]
