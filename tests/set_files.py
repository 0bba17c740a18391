"""WISDM's text and MIT-BIH's records, made anew."""

import numpy as np

SLOPES = np.array([0.3, -0.2, 0.1, 0.05, 0.02, -0.04])


def sensor(folder, name, person, code, times):
    """Write lines of one sensor, whose values are linear in time."""
    slopes = SLOPES[:3] if name == "accel" else SLOPES[3:]
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    rows = [(5_000_000_000 + round(1e9 * t), *(slope * t for slope in slopes)) for t in times]
    with (place / f"data_{person}_{name}_watch.txt").open("a") as file:
        file.writelines(f"{person},{code},{t},{x:.9g},{y:.9g},{z:.9g};\n" for t, x, y, z in rows)


def moving(folder, person, code, seconds=30.0, without=()):
    """Both sensors, the second from 0.31 s on, with jitter, a sample said twice and gaps."""
    rng = np.random.default_rng(person)
    for name, begin in (("accel", 0.0), ("gyro", 0.31)):
        times = begin + np.arange(round(20 * seconds)) / 20 + rng.uniform(0, 0.02)
        times = times[[not any(a < t < b for a, b in without) for t in times]]
        sensor(folder, name, person, code, [*times, times[7]])


def halves(samples):
    """Samples of 12 bits, two in three bytes."""
    low, high = (samples.reshape(-1, 2) % 4096).T
    return np.stack([low & 255, low >> 8 | high >> 8 << 4, high & 255], 1).astype(np.uint8)


def marks(places, codes):
    """An .atr file, with a rhythm and its text, a long interval, and what is about a beat."""
    text = b"(N\0"
    words = [28 << 10 | 18, 63 << 10 | len(text)]
    data = np.array(words, "<u2").tobytes() + text + b"\0"
    for before, place, code in zip([18, *places], places, codes, strict=False):
        step = place - before
        words = [code << 10 | step, 61 << 10 | 1, 60 << 10 | 2]
        if step > 1023:
            words = [59 << 10, step >> 16, step & 65535, code << 10]
        data += np.array(words, "<u2").tobytes()
    return data + b"\0\0"


def record(folder, name, places, codes, *, count=9000, leads=("MLII", "V1"), **changed):
    """Write a record of two leads and return the first in millivolts."""
    steps = np.arange(count)
    beat = np.exp(-0.5 * ((steps[:, None] - places) / 9) ** 2) * (1 + np.isin(codes, [5, 10]))
    wave = 300 * beat.sum(axis=1) - 40 * np.sin(steps / 400)
    samples = np.stack([1024 + wave.round(), 1000 - (wave / 2).round()], 1).astype(np.int64)
    sums = [(int(one.sum()) + 2**15) % 2**16 - 2**15 for one in samples.T]
    rows = [f"{name} 2 360 {count}", "# a note"]
    for lead, total, first in zip(leads, sums, samples[0], strict=True):
        kind, total = changed.get("kind", 212), total + changed.get("more", 0)
        rows.append(f"{name}.dat {kind} 200 11 1024 {first} {total} 0 {lead}")
    (folder / f"{name}.hea").write_text("\n".join(rows) + "\n")
    (folder / f"{name}.dat").write_bytes(halves(samples).tobytes())
    (folder / f"{name}.atr").write_bytes(marks(places, codes))
    return (samples[:, 0] - 1024) / 200


PLACES = 90 + np.concatenate([np.arange(0, 3000, 300), np.arange(4500, 8700, 300)])
CODES = np.array([1, 2, 3, 34, 11, 8, 4, 7, 9, 5, 10, 6, 12, 13, 38, 14, *[1] * 8])
