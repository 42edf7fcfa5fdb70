# A program finds an installation through pkg-config and runs with its shared and its static library.
. "$TESTS/programs/package/functions.sh"
skip_sanitizers
command -v pkg-config >/dev/null || { echo 'no pkg-config'; exit 77; }

install_below_root install
libdir=$PWD/root/usr/lib/x86_64-linux-gnu
cat >program.c <<'END'
#include <restormer.h>
#include <stdio.h>
#include <string.h>
int main(void) {
  return puts(strcmp(rst_version(), RST_VERSION) == 0 ? "the header's version" : rst_version()) < 0;
}
END
export PKG_CONFIG_PATH="$libdir/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$PWD/root" PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
  PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
# shellcheck disable=SC2046 # flags are words
${CC:-cc} program.c -o shared $(pkg-config --cflags --libs restormer) && LD_LIBRARY_PATH=$libdir ./shared
LD_LIBRARY_PATH=$libdir ldd shared | grep -c "$libdir/librestormer.so.0 "
# shellcheck disable=SC2046
${CC:-cc} program.c -o static $(pkg-config --static --cflags --libs restormer | sed 's/-lrestormer/-l:librestormer.a/') && ./static
ldd static | grep -c librestormer
[ "$(pkg-config --modversion restormer)" = "$(sed -n 's/^#define RST_VERSION "\(.*\)"/\1/p' root/usr/include/restormer.h)" ] &&
  echo "pkg-config's version, too"
