"""``bridge call``: asks a method of the backend, and shows what it answers."""
