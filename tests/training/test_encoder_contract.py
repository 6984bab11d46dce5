"""What every encoder does alike; an encoder that is added to the registry runs through the same tests."""

import math
import subprocess
import sys

import pytest

from capgen.errors import UnknownNameError
from capgen.training.encoders import ENCODERS
from capgen.training.encoders.encoder import MIDDLE, PROBABILITIES

OUTPUTS = {"grid", "vector", MIDDLE, PROBABILITIES}


@pytest.fixture(scope="module", params=list(ENCODERS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def encoder(name):
    return ENCODERS[name]


@pytest.fixture(scope="module")
def model(encoder):
    """The encoder with random weights, so that nothing is downloaded; built once for all tests of it."""
    import keras

    yield encoder.build("random")
    keras.backend.clear_session()


def test_it_is_registered_under_its_own_name(name, encoder):
    assert encoder.name == name


def test_it_says_where_its_weights_come_from_and_a_shipped_one_has_them(encoder):
    assert encoder.origin
    assert encoder.weights_file.is_file() == encoder.shipped


def test_it_has_a_square_grid_and_no_output_that_nobody_knows(encoder):
    assert encoder.outputs.keys() <= OUTPUTS
    cells, channels = encoder.outputs["grid"]
    assert math.isqrt(cells) ** 2 == cells
    assert channels > 0
    assert encoder.outputs.get("vector", (1, 1))[0] == 1
    assert encoder.outputs.get(PROBABILITIES, (1, 1000)) == (1, 1000)
    assert encoder.outputs.get(MIDDLE, (cells, 1))[0] == cells


def test_a_decoder_gets_the_output_that_it_prefers_or_the_grid(encoder):
    assert encoder.output_for("grid") == "grid"
    assert encoder.output_for("vector") == ("vector" if "vector" in encoder.outputs else "grid")


@pytest.mark.slow
def test_the_model_takes_images_and_gives_the_outputs_that_are_described(encoder, model):
    size = encoder.preprocessing.size
    assert model.input.shape == (None, size, size, 3)
    assert model.input.dtype == "float32"
    assert {output: tensor.shape for output, tensor in model.output.items()} == {
        output: (None, *shape) for output, shape in encoder.outputs.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("fine_tunable", [name for name in ENCODERS if MIDDLE in ENCODERS[name].outputs])
def test_the_last_blocks_make_the_grid_of_the_middle(fine_tunable):
    encoder = ENCODERS[fine_tunable]
    last_blocks = encoder.build_last_blocks("random")
    assert last_blocks.input.shape == (None, *encoder.outputs[MIDDLE])
    assert last_blocks.output.shape == (None, *encoder.outputs["grid"])


def test_looking_an_encoder_up_loads_no_tensorflow():
    program = (
        "import sys; from capgen.training.encoders import ENCODERS; [ENCODERS[name] for name in ENCODERS]\n"
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_encoder_offers_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean efficientnet-lite0"):
        ENCODERS["efficientnet-light0"]
