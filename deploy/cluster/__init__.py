"""Skillplan on three machines: one file of hosts becomes each host's configuration and its systemd units."""
