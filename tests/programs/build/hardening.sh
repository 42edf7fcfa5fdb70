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
  # Without optimisation, and in other C libraries, there are none.
  if grep -q -e "-O0" "$BUILD_DIR/stamps/compile" || ! getconf GNU_LIBC_VERSION >libc 2>&1 || nm -D "$BUILD_DIR/$file" | grep -q "__snprintf_chk"; then
    echo "fortified functions"
  fi
done
