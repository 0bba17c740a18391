"""Lines that lose bytes: what tests of a link send over them."""

from mubinn.hw.link.packets import FLAG, Flags, Kind, Packet


def random_packet(random, counter, room=24, step=3):
    """One that a board takes; its payload has many bytes that are stuffed."""
    kind = Kind(int(random.choice([1, 1, 1, 1, 2, 3, 6, 7, 8])))
    size = {Kind.SAMPLES: step, Kind.WEIGHTS: 1, Kind.GIVE: 1}.get(kind, room + 1)
    length = size * int(random.integers(1, room // size + 1)) if size <= room else 0
    drawn = random.choice([0x7E, 0x7D, 0x5E, 0, 255, *range(20, 40)], length)
    return Packet(kind, counter % 65536, bytes(drawn.tolist()), Flags(int(random.integers(0, 4))))


def damaged(random, frame):
    """Return a frame with bytes lost, wrong or inserted, other than it was."""
    found = bytearray(frame)
    while found == frame:
        for _ in range(int(random.integers(1, 4))):
            place = int(random.integers(len(found)))
            how = random.integers(4)
            if how == 0:
                del found[place : place + int(random.integers(1, 4))]
            elif how == 1:
                found[place] ^= 1 << int(random.integers(8))
            elif how == 2:
                found[place] = int(random.choice([FLAG, 0x7D, int(random.integers(256))]))
            else:
                found.insert(place, int(random.choice([FLAG, int(random.integers(256))])))
            if not found:
                break
    return bytes(found)
