"""Operations: metrics, logs, traces, the health check, the limit of open files."""
