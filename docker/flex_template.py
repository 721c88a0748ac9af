"""What the launcher of a Flex Template runs: the program that the image was built for."""

import os
import sys

from pipelines.flex_template import launch

sys.exit(launch(os.environ["IMAGE_INFERENCE_PROGRAM"], sys.argv[1:]))
