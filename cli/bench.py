"""``mubinn bench``: the measurements that the project promises."""

from typing import Any

import click

from mubinn.cli.common import json_option, print_json, print_table, working
from mubinn.golden.errors import MubinnError


@click.command()
@click.argument("name", required=False)
@click.option("--list", "as_list", is_flag=True, help="List the names.")
@json_option
def bench(name: str | None, as_list: bool, as_json: bool) -> None:
    """Run the measurement NAME and print its figures, beside what they are to reach.

    \b
      mubinn bench --list
      mubinn bench simulate
      mubinn bench inference --json
    """
    from mubinn.cli.benchmarks import BENCHMARKS

    if as_list:
        print_json(list(BENCHMARKS)) if as_json else click.echo("\n".join(BENCHMARKS))
        return
    if name is None:
        raise click.UsageError(f"Give a name: {', '.join(BENCHMARKS)}.")
    if name not in BENCHMARKS:
        raise MubinnError(f"There is no benchmark {name}: choose from {', '.join(BENCHMARKS)}.")
    with working(f"measuring {name}", as_json):
        result = BENCHMARKS[name]()
    if as_json:
        print_json(result)
        return
    figures: list[dict[str, Any]] = result["figures"]
    rows = [(f["name"], f"{f['value']:.6g}", f["unit"], f["goal"]) for f in figures]
    print_table(name, ("figure", "value", "unit", "goal"), rows)
    for title in ("parameters", "versions"):
        click.echo()
        print_table(title, ("name", "value"), list(result[title].items()))
