"""What compares sessions or guides through them: branches, twin, canvas, tour. No PyGame, no gRPC."""
