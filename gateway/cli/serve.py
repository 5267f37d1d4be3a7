"""`yizhan serve`: run the post office."""

from __future__ import annotations

import typer

from gateway.cli.office import ConfigOption

app = typer.Typer(help="Run the post office.")


@app.command()
def serve(config: ConfigOption = None) -> None:
    """Run the post office until SIGTERM or Ctrl-C; SIGHUP reloads rules, texts and certificates.

    Example: yizhan serve --config /etc/yizhan/yizhan.toml
    """
    from gateway import config_file
    from gateway.cli.office import become_owner
    from gateway.errors import CommandError, ConfigurationError, StoreUnusable

    path = config_file.find(config)
    loaded = config_file.read(path)
    from gateway import daemon  # slow to import; a wrong file is told before

    try:
        become_owner(loaded.config.state.directory)
        daemon.run(loaded.config, path, loaded.hints)
    except (CommandError, ConfigurationError, StoreUnusable) as error:
        # Also no office there, or somebody else's: no restart helps.
        faults = "\n".join(config_file.with_file(path, error.public))
        raise ConfigurationError(faults, cause=error.cause) from error
