"""DICOMweb servers, as hospitals have them: QIDO-RS, WADO-RS and STOW-RS (PS3.18)."""
