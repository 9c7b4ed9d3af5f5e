"""Files as documents: packed, encoded, in folders, in records; refused with the position and the remedy."""
