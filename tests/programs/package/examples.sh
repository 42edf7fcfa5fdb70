# The examples, compiled as their first lines say, find an installation through pkg-config and run with its shared and
. "$TESTS/programs/functions.sh"
# its static library.
. "$TESTS/programs/functions.sh"
. "$TESTS/programs/package/functions.sh"
skip_sanitizers
command -v pkg-config >/dev/null || { echo 'no pkg-config'; exit 77; }

install_below_root install
libdir=$PWD/root/usr/lib/x86_64-linux-gnu weights=root/usr/share/restormer-cli/weights/denoise.json
export PKG_CONFIG_PATH="$libdir/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$PWD/root" PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
  PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
version=$(sed -n 's/^#define RST_VERSION "\(.*\)"/\1/p' root/usr/include/restormer.h)
[ "$(pkg-config --modversion restormer)" = "$version" ] && echo "the header's version"
restormer-cli -q --weights $weights "$DATA/coffee-noise50.png" expected.png

# compiled NAME SOURCE FLAGS...
compiled() {
  name=$1 source=$2
  shift 2
  ${CC:-cc} -std=c11 -Wall -Wextra -Werror "$source" -o "$name" "$@"
}
# shellcheck disable=SC2046 # flags are words
for example in restore_file restore_memory; do
  source=root/usr/share/doc/restormer-cli/examples/$example.c
  compiled $example.shared "$source" $(pkg-config --cflags --libs restormer)
  compiled $example.static "$source" $(pkg-config --static --cflags --libs restormer | sed 's/-lrestormer/-l:librestormer.a/')
  ldd $example.static | grep librestormer
done
export LD_LIBRARY_PATH="$libdir"
ldd restore_file.shared | grep -c "$libdir/librestormer.so.0 "

for kind in shared static; do
  echo "== $kind"
  ./restore_file.$kind $weights "$DATA/coffee-noise50.png" file.png
  restormer-compare file.png expected.png --max-diff 0 >/dev/null && echo 'from a file: as restormer-cli'
  ./restore_memory.$kind $weights <"$DATA/coffee-noise50.png" >memory.png
  restormer-compare memory.png expected.png --max-diff 0 >/dev/null && echo 'from memory: as restormer-cli'
  try ./restore_memory.$kind $weights 0.5 <"$DATA/coffee-noise50.png" >stopped.png
  cat stopped.png
  try ./restore_memory.$kind $weights <$weights 2>&1 | cut -d , -f 1
  try ./restore_file.$kind none.json "$DATA/coffee-noise50.png" file.png
done
