# The shared library exports what its header declares, all of it and nothing else.
. "$TESTS/programs/package/functions.sh"
skip_sanitizers
nm -D --defined-only "$BUILD_DIR/librestormer.so" | awk '$2 != "A" { sub("@.*", "", $3); print $3 }' |
  LC_ALL=C sort >exported
# Declarations and not static inline functions: a name, its arguments, a semicolon.
"${CC:-cc}" -E -P -I"$top/src" - <<END | tr '\n' ' ' | tr ';{}' '\n\n\n' | grep -v 'typedef\|static' |
#include "restormer.h"
END
  sed -n 's/.*[ *]\(rst_[a-z0-9_]*\)(.*) *$/\1/p' | LC_ALL=C sort >declared
diff declared exported && echo "as declared"
[ "$(wc -l <exported)" -gt 20 ] || cat exported
readelf -d "$BUILD_DIR/librestormer.so" | sed -n 's/.*soname: \[\(.*\)\]/soname \1/p'
