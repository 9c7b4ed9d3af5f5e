"""Files as documents: packed, encoded, in folders, in records; refused with the place and the remedy."""
