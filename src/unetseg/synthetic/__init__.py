"""The bundled synthetic sample."""
