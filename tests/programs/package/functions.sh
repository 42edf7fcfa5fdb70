# What the tests of the build and of installations share: `. "$TESTS/programs/package/functions.sh"`.

top=$TESTS/..

# make BUILD=... without what the make around the tests has said of jobs and sanitizers.
build() {
  MAKEFLAGS='' MAKELEVEL='' SANITIZE='' make --no-print-directory -s -C "$top" "$@"
}

# As a distribution installs, into ./root, what has been built (and is not built again, with whatever flags).
install_below_root() {
  build -o all BUILD="$BUILD_DIR" prefix=/usr libdir=/usr/lib/x86_64-linux-gnu DESTDIR="$PWD/root" "$@" >log 2>&1 || cat log
}

# Programs that are linked to a sanitizer's build need the sanitizer, too; nor is it for installing.
skip_sanitizers() {
  if nm "$BUILD_DIR/restormer-cli" | grep -q '__asan_init\|__tsan_init\|__ubsan_handle'; then
    echo "a sanitizer's build"
    exit 77
  fi
}
