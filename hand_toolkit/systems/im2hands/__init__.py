"""Im2Hands: two interacting hands as occupancy, from a picture and 42 keypoints."""
