"""The command `queen tune-pg`: asks the machine and the server, lets `queen.tune` compute, prints."""
