"""Sizes and formats of the images of a run."""

import pyarrow as pa

from transforms.explore.input_survey import InputSurvey, Size


def survey_of(*rows: tuple[str, int, int]) -> InputSurvey:
    survey = InputSurvey()
    for uri, height, width in rows:  # A batch each.
        survey.add(
            pa.record_batch(
                {
                    "uri": [uri],
                    "height": pa.array([height], pa.int32()),
                    "width": pa.array([width], pa.int32()),
                }
            )
        )
    return survey


def test_counts_formats_by_the_ends_of_names() -> None:
    names = ("a.JPG", "b.jpeg", "gs://b/c.png", "d.tar#3", "no ending", "e.docx", "f.jpg\n", ".jpg")
    survey = survey_of(*((name, 1, 1) for name in names))
    assert survey.formats() == {"JPEG": 3, "PNG": 1}


def test_the_most_frequent_sizes_come_first() -> None:
    survey = survey_of(("a", 20, 10), ("b", 480, 640), ("c", 480, 640), ("d", 640, 480))
    assert survey.frequent_sizes(2) == [Size(480, 640, 2), Size(20, 10, 1)]
    assert survey.sizes().tolist() == [[20, 10], [480, 640], [480, 640], [640, 480]]
