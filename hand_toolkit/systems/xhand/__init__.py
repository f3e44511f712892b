"""The method ``xhand``: many pictures of one hand to a personal, detailed, relightable one."""
