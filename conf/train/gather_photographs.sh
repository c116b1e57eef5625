#!/bin/sh
# Gathers the photographs of photographs.tsv into FOLDER/train, more, validate, held-out and smaller, as PNG.
#
#     conf/train/gather_photographs.sh FOLDER
#
# Debian packages are fetched with apt-get and unpacked into FOLDER/packages: nothing is installed.
# Needs the package lists of Debian 13 (elsewhere: APT_CONFIG that names a sources list of it), apt-get,
# dpkg, and a python3 (or $PYTHON) that has Pillow and scikit-image.
set -eu

folder=${1:?usage: gather_photographs.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}

mkdir -p "$folder/packages"
for package in $(awk -F '\t' '!/^#/ && $2 != "scikit-image" {print $2}' "$here/photographs.tsv" | sort -u); do
    [ -d "$folder/packages/$package" ] && continue
    (cd "$folder/packages" && apt-get download -q "$package" && dpkg -x "$package"_*.deb "$package.part")
    mv "$folder/packages/$package.part" "$folder/packages/$package"
done

exec "$python" "$here/shrink_photographs.py" "$here/photographs.tsv" "$folder"
