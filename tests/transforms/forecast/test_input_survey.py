import pathlib

import pyarrow as pa
import pytest

from transforms.boxes import PIXEL_NAMES
from transforms.forecast.input_survey import take_survey
from transforms.inputs.box_columns import BoxColumns
from transforms.inputs.columns import FileColumns
from transforms.inputs.manifests import read_manifest
from transforms.steps.plan_shards import sorted_by_id

OF_BOXES = FileColumns(
    None,
    None,
    pa.schema([(name, pa.float64()) for name in PIXEL_NAMES]),
    carried_from=PIXEL_NAMES,
    boxes=BoxColumns.parse("x,y,width,height"),
)
OF_ROWS = FileColumns(None, "uri#row", pa.schema([("y", pa.string())]))


@pytest.mark.parametrize("columns", [OF_BOXES, OF_ROWS], ids=["boxes", "rows"])
def test_rows_of_an_image_in_several_lists_have_the_ids_of_a_run(
    tmp_path: pathlib.Path, columns: FileColumns
) -> None:
    """Places in the lists go before, then what rows say: not the order of the lists."""
    rows: dict[str, list[object]] = {
        "1.csv": [9, 2, 5, 7],
        "0.csv": [1, 8],
        "2.csv": [3, "", 6, 4, 0],
    }
    manifests = []
    for name, own in rows.items():
        lines = [f"{image}.jpg,0,{y},20,20" for y in own for image in "ab" if y != ""]
        if columns is OF_BOXES:
            lines.insert(3, "a.jpg,,,,")
        (tmp_path / name).write_text("\n".join(["uri,x,y,width,height", *lines]))
        manifests.append(str(tmp_path / name))
    survey = take_survey((), tuple(manifests), columns, draw=99, is_wanted=lambda ref: True)
    refs = [
        ref
        for uri in reversed(manifests)
        for ref in read_manifest(uri, columns.stored, columns.image_id_from, boxes=columns.boxes)
        if columns is OF_ROWS or ref.box is not None
    ]
    assert survey.rows == len(refs) == 20
    assert sorted_by_id(survey.drawn) == sorted_by_id(refs)
