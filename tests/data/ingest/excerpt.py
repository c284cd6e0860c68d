"""Cuts the recordings beside this script out of the full ones, and shows so what was left out.

    CDI_TEST_DATA=<folder of the recordings> python tests/data/ingest/excerpt.py

Scenes: a window of 48 x 48 cells of each band. The originals are bare JPEG 2000 code streams
without a georeference; the window is a GeoTIFF with the one that their STAC item states.
Items: links and assets other than the bands that the stage takes are dropped.
"""

import json
import os
import warnings
from pathlib import Path

import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin
from rasterio.windows import Window

HERE = Path(__file__).parent
SCENES = "H_s2_mapchete_33TWM_3dates_120m_scl_stac"
STAC = "K_stac"
WINDOW = Window(500, 300, 48, 48)
CELL = 120
BANDS = {"blue": "B02", "green": "B03", "red": "B04", "nir": "B08", "scl": "SCL"}
KEEP = {
    *BANDS,
    "swir16",
    "swir22",
    *("B02_10m", "B03_10m", "B04_10m", "B08_10m", "B11_20m", "B12_20m", "SCL_20m"),
}
EARTH_SEARCH = (
    "S2A_33TWN_20220122_0_L2A",  # baseline 03.01: no offset
    "S2B_33TWN_20220130_0_L2A",  # 04.00, offset taken out already
    "S2B_33TWN_20220226_0_L2A",  # 04.00, offset still in the numbers
    "S2A_12RWT_20240106_0_L2A",  # 05.10, taken out, but `raster:bands` still says -0.1
)
CDSE = (
    "item_S2A_MSIL2A_20200703T103031_N0500_R108_T32TMT_20230613T212700",
    "item_S2B_MSIL2A_20200705T101559_N0500_R065_T32TMT_20230530T175912",
)


def main():
    root = Path(os.environ["CDI_TEST_DATA"])
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    for folder in sorted((root / SCENES).glob("S2*")):
        scene(folder, HERE / "scenes" / folder.name)
    write(HERE / "scenes" / "catalog.json", read(root / STAC / "earthsearch" / "catalog_root.json"))
    for name in EARTH_SEARCH:
        item(root / STAC / "earthsearch" / f"{name}.json", HERE / "earthsearch" / f"{name}.json")
    for name in CDSE:
        item(root / STAC / "cdse" / f"{name}.json", HERE / "cdse" / f"{name}.json")
    write(HERE / "cdse" / "catalog.json", read(root / STAC / "cdse" / "catalog_root.json"))


def scene(folder, target):
    target.mkdir(parents=True, exist_ok=True)
    document = item(folder / f"{folder.name}.json", target / f"{folder.name}.json")
    stated = document["assets"]["red"]["proj:transform"]
    west = stated[2] + WINDOW.col_off * CELL
    north = stated[5] - WINDOW.row_off * CELL
    for band in BANDS.values():
        with rasterio.open(folder / f"{band}.tif") as source:
            data = source.read(window=WINDOW)
        with rasterio.open(
            target / f"{band}.tif",
            "w",
            driver="GTiff",
            width=48,
            height=48,
            count=1,
            dtype=data.dtype,
            crs="EPSG:32633",
            transform=from_origin(west, north, CELL, CELL),
            nodata=0,
            compress="deflate",
            zlevel=9,
            predictor=2,
        ) as sink:
            sink.write(data)


def item(path, target):
    document = read(path)
    document["links"] = []
    document["assets"] = {
        key: document["assets"][key] for key in sorted(KEEP & set(document["assets"]))
    }
    write(target, document)
    return document


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def write(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(document, indent=None, separators=(",", ":")) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
