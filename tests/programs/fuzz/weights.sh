# Damaged checkpoints and manifests are read or refused, and what is converted is good: tests/tools/fuzz.c.
. "$TESTS/programs/fuzz/functions.sh"
make_model=$BUILD_DIR/tests/tools/make-model
"$make_model" --blocks 1,0 --dim 2 --refinement 0 --dtype f16 two.json
"$make_model" --blocks 0 --dim 1 --refinement 1 --in 1 --out 1 --inline inline.json
checkpoints=$TESTS/data/checkpoints
rounds=25
fuzz two.json two.json inline.json two.safetensors "$checkpoints"/*.pth "$checkpoints"/*.ckpt
! ls | grep '^fuzz'
