"""A damaged raster is told from a whole one before anybody relies on it."""

import numpy as np
import pytest
import rasterio

from processes.ingest.whole_raster import DamagedFileError, inspect_raster
from tests.processes.ingest.scenery import DATA, tile

LAYOUTS = {
    "strips": {},
    "tiles": {"tiled": True, "blockxsize": 64, "blockysize": 64},
    "compressed": {"compress": "deflate", "predictor": 3},
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_whole_tile_tells_where_it_lies(tmp_path, layout):
    facts = inspect_raster(tile(tmp_path / "a.tif", 342_000, 5_700_000, cell=4, **layout))
    assert facts.bounds.as_tuple() == (342_000, 5_700_000, 343_000, 5_701_000)
    assert (facts.crs.to_epsg(), facts.cell, facts.bands) == (25832, 4, 1)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95])
def test_a_truncated_tile_is_damaged_wherever_it_was_cut(tmp_path, layout, share):
    path = tile(tmp_path / "a.tif", 342_000, 5_700_000, cell=4, **layout)
    path.write_bytes(path.read_bytes()[: round(path.stat().st_size * share)])
    with pytest.raises(DamagedFileError):
        inspect_raster(path)


def test_a_truncated_jpeg_2000_is_damaged(tmp_path):
    path = tmp_path / "a.jp2"
    with rasterio.open(tile(tmp_path / "a.tif", 0, 0, cell=4, dtype="uint16", nodata=0)) as source:
        rasterio.shutil.copy(source, path, driver="JP2OpenJPEG")
    assert inspect_raster(path).bounds.as_tuple() == (0, 0, 1000, 1000)
    whole = path.read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 40):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedFileError):
            inspect_raster(path)


@pytest.mark.parametrize("content", [b"", b"<html>busy</html>", b"\x49\x49\x2a\x00" + b"\xff" * 60])
def test_what_is_no_raster_is_damaged(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(DamagedFileError):
        inspect_raster(tmp_path / "a.tif")


def test_a_virtual_raster_that_names_other_files_is_not_opened(tmp_path):
    tile(tmp_path / "secret.tif", 0, 0)
    (tmp_path / "a.tif").write_text(
        '<VRTDataset rasterXSize="50" rasterYSize="50"><VRTRasterBand dataType="Float32" band="1">'
        f"<SimpleSource><SourceFilename>{tmp_path}/secret.tif</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(DamagedFileError):
        inspect_raster(tmp_path / "a.tif")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_raster_without_a_place_is_of_no_use(tmp_path):
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=4, height=4, count=1, dtype="uint8"
    ) as sink:
        sink.write(np.zeros((1, 4, 4), "uint8"))
    with pytest.raises(DamagedFileError, match="no georeference"):
        inspect_raster(path)


def test_the_recorded_scenes_are_whole():
    paths = sorted((DATA / "scenes").glob("*/*.tif"))
    assert len(paths) == 15
    assert {inspect_raster(path).crs.to_epsg() for path in paths} == {32633}
