"""Pictures of a model: from noise, or healed after a brush, and the command that writes them."""
