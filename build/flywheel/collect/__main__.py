"""`python -m flywheel.collect COMMAND`: the collecting commands alone."""

import click

from flywheel.collect.commands import COMMANDS

click.Group("flywheel.collect", commands=COMMANDS)()
