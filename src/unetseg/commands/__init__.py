"""The subcommands of `unetseg`, one module each, and what several of them share."""
