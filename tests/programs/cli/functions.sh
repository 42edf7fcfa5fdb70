# What the tests of restormer-cli share.
. "$TESTS/programs/functions.sh"
here=$TESTS/programs/cli
pictures=$here/pictures
identity=$here/identity.json # a model that changes nothing
make_model=$BUILD_DIR/tests/tools/make-model
