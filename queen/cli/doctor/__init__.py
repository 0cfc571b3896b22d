"""`queen doctor`: options, output, exit code. What is wrong, queen.doctor knows."""
