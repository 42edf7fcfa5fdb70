# What a build for users has against faults that have not been found yet.
. "$TESTS/programs/package/functions.sh"
skip_sanitizers
command -v readelf >/dev/null || { echo 'no readelf'; exit 77; }

for file in restormer-cli restormer-compare restormer-weights librestormer.so; do
  echo "== $file"
  readelf -hldW "$BUILD_DIR/$file" >headers
  grep -q 'Type: *DYN' headers && echo 'position independent'
  grep -q GNU_RELRO headers && grep -q BIND_NOW headers && echo 'read-only relocations, bound at the start'
  grep GNU_STACK headers | grep -q 'RW ' && echo 'no code on the stack'
  nm -D "$BUILD_DIR/$file" | grep -q __stack_chk_fail && echo 'stack protector'
done
