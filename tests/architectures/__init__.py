"""Networks as people publish them, narrow, for the test that capture takes them all."""

from tests.architectures import gan, sequence, vision

ALL = {**gan.NETS, **vision.NETS, **sequence.NETS}
CRITICS = gan.CRITICS
