"""What several back ends share. `worker` is for worker processes alone: it imports torch."""
