"""Operations: readiness, metrics, logs, the doctor."""
