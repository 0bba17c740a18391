from simulators import QUICK

from mubinn.cli.benchmarks.layer import bench_layer


def test_figures_are_those_of_the_layer(random_float):
    model = random_float(features=3, hidden=2, classes=2)
    result = bench_layer(model, steps=2, speed_steps=3, simulator=QUICK)
    figures = {figure["name"]: figure["value"] for figure in result["figures"]}
    # Rows of two cells and two classes, one pass a level pair, then the last cell's tail.
    tail = 3 + 7 + 1
    assert figures["cycles_per_step_1_1"] == (4 * 2 + 2) * 1 + tail
    assert figures["cycles_per_step_3_3"] == (4 * 2 + 2) * 9 + tail
    assert figures["cycles_per_s"] > 0
    assert result["parameters"]["lanes"] == 5
