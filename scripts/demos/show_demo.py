"""Reads the demo's Parquet output back: accuracy on the held-out digits, and a few rows."""

import glob
import sys

import pyarrow as pa
import pyarrow.parquet as pq

WANTED_ACCURACY = 0.97


def read(run: str) -> pa.Table:
    """Reads a run's table."""
    return pq.read_table(sorted(glob.glob(f"{run}/*.parquet")))


def main(directory: str) -> int:
    """Prints the accuracy and three rows of each output; returns 1 if the accuracy is low."""
    labels = read(f"{directory}/labels").sort_by("image_id").to_pylist()
    right = sum(str(row["class_index"][0]) == row["image_id"].split("/")[0] for row in labels)
    accuracy = right / len(labels)
    print(f"accuracy on {len(labels)} held-out digits: {accuracy:.3f}")
    vectors = read(f"{directory}/vectors").sort_by("image_id")
    print(f"\n{directory}/vectors: {vectors.schema.field('embedding').type}")
    for row in vectors.slice(0, 3).to_pylist():
        numbers = ", ".join(f"{value:.3f}" for value in row["embedding"][:6])
        print(f"  {row['image_id']}  [{numbers}, ...]  {row['content_sha256'][:12]}")
    print(f"\n{directory}/labels")
    for row in labels[:3]:
        best = zip(row["class_label"], row["score"], strict=True)
        print(f"  {row['image_id']}  " + ", ".join(f"{name} {score:.4f}" for name, score in best))
    return 0 if accuracy >= WANTED_ACCURACY else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
