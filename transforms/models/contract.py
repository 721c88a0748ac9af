"""How a model of either format is called: found out without loading its weights."""

from transforms.machine.tensorflow_runtime import start_tensorflow
from transforms.models.onnx_files import is_onnx
from transforms.models.spec import ModelSpec


def inspect_model(
    model_dir: str, *, signature: str | None = None, output_key: str | None = None
) -> ModelSpec:
    """Decides how to call a model, and looks for its files; needs no TensorFlow for ONNX.

    Args:
        model_dir: A directory that holds saved_model.pb, or an ONNX file.
        signature: The signature or callable attribute to use, or None to choose.
        output_key: The output to use, or None to choose.

    Raises:
        ModelError: If it is not whole, or there is no one way to give it images and get vectors or
            logits.
    """
    if is_onnx(model_dir):
        from transforms.models.onnx_inspection import inspect_onnx

        return inspect_onnx(model_dir, signature=signature, output_key=output_key)
    start_tensorflow()
    from transforms.models.inspection import inspect_saved_model
    from transforms.models.model_files import check_files

    spec = inspect_saved_model(model_dir, signature=signature, output_key=output_key)
    check_files(model_dir, spec.files)
    return spec


def takes_unit_range(model_dir: str) -> bool:
    """Whether a model says by its form that it follows TF Hub's API; ONNX says nothing by form.

    Raises:
        ModelError: If it cannot be read.
    """
    if is_onnx(model_dir):
        return False
    from transforms.models import inspection

    return inspection.takes_unit_range(model_dir)
