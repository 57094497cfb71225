"""Starting the emulator: two that start in the same moment do not share one, and a port is kept."""

import os
import subprocess

import pytest
from conftest import ROOT, RUN


@pytest.fixture
def places():
    """Two directories for what runs, as two checkouts have them."""
    made = [RUN / "start-one", RUN / "start-two"]
    yield made
    for place in made:
        script(place, "stop").wait(30)
        subprocess.run(["rm", "-rf", place], check=True)


def script(place, word):
    return subprocess.Popen([ROOT / "scripts" / "kinesis.sh", word], env=os.environ | {"RUN_DIR": str(place)}, stdout=subprocess.DEVNULL)


def endpoint(place):
    return (place / "kinesis.endpoint").read_text().strip()


def test_two_starts_at_once_have_an_emulator_each(places):
    for started in [script(place, "start") for place in places]:
        assert started.wait(60) == 0
    one, other = map(endpoint, places)
    assert one != other
    for place in places:
        os.kill(int((place / "kinesis.pid").read_text()), 0)
    # Down and up again: where it was.
    for word in ("stop", "start"):
        assert script(places[1], word).wait(60) == 0
    assert endpoint(places[1]) == other
