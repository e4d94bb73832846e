"""Operations: metrics, logs, the health check, options from the environment."""
