"""The subcommands of `unetseg`, one module each."""
