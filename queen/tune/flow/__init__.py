"""What happens with a plan on a server: diff, apply, verify, confirm, roll back, watch for drift."""
