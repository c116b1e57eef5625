"""What a file is that no format here reads, told by how it begins, for a message with the cure.

Signatures are those of the formats' specifications; containers of ISO 14496-12 name themselves by a brand.
"""

from __future__ import annotations

_CONVERT = "convert it to PNG or TIFF"
_BRANDS = {
    **dict.fromkeys(
        (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"),
        "a HEIC image, whose decoders are under copyleft licences; export it as JPEG, or " + _CONVERT,
    ),
    b"crx ": "a camera raw (CR3); develop it to TIFF or PNG",
}
_ANALYZE = 348
_FILM = "a film; take its frames out as images"
_BEGINNINGS = (
    (b"\xff\x0a", f"a JPEG XL image; {_CONVERT}"),
    (b"\0\0\0\x0cJXL ", f"a JPEG XL image; {_CONVERT}"),
    (b"II\xbc", f"a JPEG XR image; {_CONVERT}"),
    (b"qoif", f"a QOI image; {_CONVERT}"),
    (b"FUJIFILMCCD-RAW", "a camera raw (RAF); develop it to TIFF or PNG"),
    (b"8BPS", f"a Photoshop document; {_CONVERT}"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image; convert it to TIFF of floating point"),
    (b"SIMPLE  =", "a FITS file; convert its images to TIFF of floating point"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file; take its images out as GeoTIFF, TIFF or Zarr"),
    (b"CDF\x01", "a netCDF file; take its images out as GeoTIFF, TIFF or Zarr"),
    (b"%PDF", "a PDF; take its images out, as pdfimages does"),
    (b"\x1a\x45\xdf\xa3", _FILM),
    (b"NRRD000", "an NRRD volume; convert it to NIfTI"),
    (b"PK\x03\x04", "a ZIP archive; unpack it, or make it a tar archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it, or make it a tar archive"),
    (b"Rar!\x1a\x07", "a RAR archive; unpack it, or make it a tar archive"),
    *(
        (beginning, f"compressed with {name}; unpack it, or make it a tar archive that is not compressed")
        for beginning, name in (
            (b"\x1f\x8b", "gzip"),
            (b"BZh", "bzip2"),
            (b"\xfd7zXZ\0", "xz"),
            (b"\x28\xb5\x2f\xfd", "zstd"),
        )
    ),
    (b"PAR1", "a Parquet table; where it lists images it is a dataset of its own: give its own address"),
)
_TAR, _TAR_AT = b"ustar", 257


def description_of(data: bytes) -> str | None:
    """Of what is known by its first bytes, with what to do; ``None`` for anything else."""
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], _FILM)
    if _is_half_a_volume(data):
        return "the header of a volume in two files (.hdr and .img); make one .nii file of the pair"
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        return _FILM
    if data[:1] == b"P" and data[1:2] in b"1234567" and data[2:3].isspace():
        return f"a Netpbm image; {_CONVERT}"
    if data[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
        return "a tar archive, which is a dataset of its own: give its own address, or unpack it"
    return next((words for beginning, words in _BEGINNINGS if data.startswith(beginning)), None)


def _is_half_a_volume(data: bytes) -> bool:
    """A header whose samples are in another file: Analyze 7.5, whose size it has, NIfTI-1 or NIfTI-2."""
    is_analyze = len(data) == _ANALYZE and data[:4] in (_ANALYZE.to_bytes(4, "little"), _ANALYZE.to_bytes(4))
    return is_analyze or data[344:348] == b"ni1\0" or data[4:8] == b"ni2\0"
