"""The viewer's logic: view model, brush, geometry, key map, words. No PyGame, no gRPC."""
