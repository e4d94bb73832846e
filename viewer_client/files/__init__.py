"""What the viewer writes: pictures, animations, recordings and recipes."""
