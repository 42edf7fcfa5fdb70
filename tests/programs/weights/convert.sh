# restormer-weights convert, from safetensors: texts, types, and every exit status.
. "$TESTS/programs/functions.sh"

"$BUILD_DIR/tests/tools/make-model" --blocks 1 --dim 2 --heads 2 --dtype bf16 model.json
try restormer-weights convert model.safetensors -o same.json
cmp model.safetensors same.safetensors
try restormer-weights convert --dtype f32 --name 'a "name"' --task 'naïve' --license MIT --source 'here
and there' --output wide.json model.safetensors
try restormer-weights verify wide.json
restormer-weights info --json wide.json | grep -E '"(name|task|license|source|dtype)"'
try restormer-weights convert wide.safetensors --dtype bf16 -o narrow.json
cmp model.safetensors narrow.safetensors

echo '== the residual connection'
restormer-weights info --json same.json | grep residual
try restormer-weights convert --no-residual model.safetensors -o without.json
restormer-weights info --json without.json | grep residual
"$BUILD_DIR/tests/tools/make-model" --blocks 1 --dim 2 --heads 2 --out 1 --no-residual mono.json
try restormer-weights convert mono.safetensors -o other.json
restormer-weights info --json other.json | grep -E 'channels|residual'
rm mono.* other.* without.*

echo '== prompts'
"$BUILD_DIR/tests/tools/make-model" --prompts --dim 4 prompts.json
try restormer-weights convert prompts.safetensors -o other.json
cmp prompts.safetensors other.safetensors
restormer-weights info --json other.json | sed -n '/"prompts": /,/]/p'
rm prompts.* other.*

echo '== wrong'
try restormer-weights convert model.safetensors -o out.txt
try restormer-weights convert model.safetensors -o out.json --dtype int8
try restormer-weights convert missing.pth -o out.json
echo 'not a checkpoint' >text.pth
restormer-weights convert text.pth -o out.json 2>/dev/null
echo "exit $?"
try restormer-weights convert model.safetensors -o missing/out.json
try restormer-weights convert model.safetensors -o 'back\slash.json'
try restormer-weights convert model.safetensors -o "$(printf 'new\nline.json')"
mkdir 'back\slash' && try restormer-weights convert model.safetensors -o 'back\slash/fine.json'
rm -r 'back\slash'
echo '--- no room for more than a few bytes'
cp same.json before.json
(ulimit -f 1 && try restormer-weights convert model.safetensors -o same.json) 2>&1 | cat
cmp same.json before.json && cmp model.safetensors same.safetensors && rm before.json
ls -A
