"""The viewer: shows the stream and turns mouse movement into noise. Never imports torch."""
