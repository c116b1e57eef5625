"""Rasters of other formats than GeoTIFF, made of GeoTIFFs by GDAL."""

import rasterio
import rasterio.shutil


def converted(data: bytes, driver: str, extension: str, **options: str) -> bytes:
    """The GeoTIFF as another format."""
    memory = rasterio.MemoryFile
    with (
        rasterio.Env(GDAL_PAM_ENABLED="NO"),
        memory(data) as file,
        file.open() as raster,
        memory(ext=extension) as out,
    ):
        rasterio.shutil.copy(raster, out.name, driver=driver, **options)
        return out.read()


def jpeg2000(data: bytes, **options: str) -> bytes:
    """The GeoTIFF as JPEG 2000, without loss."""
    return converted(data, "JP2OpenJPEG", ".jp2", QUALITY="100", REVERSIBLE="YES", **options)
