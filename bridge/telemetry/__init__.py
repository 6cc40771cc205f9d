"""What the bridge tells about itself: its log, and the record of each stream."""
