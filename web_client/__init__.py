"""The page for browsers: sources in TypeScript, and in `dist/` the built files that the server sends."""
