"""Fast training crops: posed hands with forearms, rasterized and lit on the CPU without Cycles."""
