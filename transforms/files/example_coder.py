"""The coder of tf.Examples: tfx-bsl's, or protobuf's where it has no wheels (ARM)."""

try:
    from tfx_bsl.coders.example_coder import (
        ExamplesToRecordBatchDecoder,
        ExampleToNumpyDict,
        RecordBatchToExamplesEncoder,
    )
except ModuleNotFoundError:
    from transforms.files.protobuf_examples import (
        ExamplesToRecordBatchDecoder,
        ExampleToNumpyDict,
        RecordBatchToExamplesEncoder,
    )

    IS_FAST = False
else:
    IS_FAST = True
"""Whether it is tfx-bsl's, which takes a tenth of the time for vectors, and half for images."""

__all__ = [
    "IS_FAST",
    "ExampleToNumpyDict",
    "ExamplesToRecordBatchDecoder",
    "RecordBatchToExamplesEncoder",
]
