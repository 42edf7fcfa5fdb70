/* Finding the network in a checkpoint, reading its architecture off the tensors, and what does not fit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/checkpoint_builder.h"
#include "support/cmocka_all.h"
#include "weights/checkpoint/state_dict.h"

/* ---- Architectures ------------------------------------------------------------------------------------ */

static void assert_comes_back(workshop *w, const rst_architecture *a) {
  workshop_model(w, a);
  recipe r = {.model = &w->model, .wrapper = "params"};
  assert_recipe_converts(w, &r);
}

static void networks_of_one_to_five_levels(void **state) {
  workshop *w = *state;
  for (int levels = 1; levels <= RST_MAX_LEVELS; levels++) {
    rst_architecture a = architecture_small(2, levels);
    assert_comes_back(w, &a);
    a.bias = true;
    a.norm_bias = false;
    for (int l = 0; l < levels; l++) {
      a.heads[l] = 1 << l;
      a.num_blocks[l] = 1 + l % 3;
    }
    a.num_refinement_blocks = 12; /* two digits */
    assert_comes_back(w, &a);
  }
}

static void networks_without_attention(void **state) {
  workshop *w = *state;
  for (int levels = 1; levels <= 4; levels++) {
    rst_architecture a = architecture_small(2, levels);
    for (int l = 0; l < levels; l++) a.attention[l] = false;
    assert_comes_back(w, &a);
    a.attention[levels - 1] = true; /* of the latent level alone */
    a.bias = true;
    assert_comes_back(w, &a);
  }
}

static void networks_with_prompts(void **state) {
  workshop *w = *state;
  for (int levels = 2; levels <= RST_MAX_LEVELS; levels++) {
    rst_architecture a = architecture_prompted(2, levels);
    a.bias = levels % 2 == 0;
    a.attention[1] = levels != 3; /* the block behind a prompt tells nothing of its level's own */
    assert_comes_back(w, &a);
    a.prompts[1] = (rst_prompt){0};
    assert_comes_back(w, &a);
  }
}

static void networks_of_other_channels(void **state) {
  workshop *w = *state;
  rst_architecture a = architecture_small(2, 3);
  a.in_channels = a.out_channels = 1;
  a.norm_bias = false;
  assert_comes_back(w, &a);
  a.in_channels = 6;
  a.out_channels = 3;
  a.dual_pixel = true;
  a.residual = false;
  assert_comes_back(w, &a);
  a.bias = true;
  assert_comes_back(w, &a);
  a = architecture_small(2, 2); /* a picture that is not what is restored cannot be added to it */
  a.out_channels = 1;
  a.residual = false;
  assert_comes_back(w, &a);
  a.in_channels = 4;
  a.out_channels = 3;
  assert_comes_back(w, &a);
}

static void hidden_widths_that_no_factor_gives(void **state) {
  workshop *w = *state;
  rst_architecture a = architecture_small(2, 4);
  for (int l = 0; l < 4; l++) a.ffn_hidden[l] = 7 - l;
  assert_comes_back(w, &a);
}

/* What cannot be read off the tensors makes no difference: usual values stand for it. */
static void levels_without_blocks(void **state) {
  workshop *w = *state;
  rst_architecture a = architecture_small(4, 3);
  a.num_blocks[0] =
      0; /* heads of level 1 from its decoder, which has no blocks either, or from the refinement */
  a.heads[0] = 2;
  a.ffn_hidden[0] = 10;
  assert_comes_back(w, &a);
  a.num_blocks[1] = 0; /* hidden width of level 2 from the refinement */
  a.ffn_hidden[1] = 9;
  assert_comes_back(w, &a);
  a.num_blocks[2] = 0;
  a.ffn_hidden[2] = 42;
  assert_comes_back(w, &a);
  a.num_refinement_blocks = 0;
  a.heads[0] = 1;
  a.ffn_hidden[1] = 21;
  a.norm_bias = false;
  assert_comes_back(w, &a);
  a.bias = true; /* seen at reduce_chan_level2 */
  assert_comes_back(w, &a);
}

/* ---- Wrappers and prefixes ---------------------------------------------------------------------------- */

static void any_wrapper_and_prefix(void **state) {
  workshop *w = *state;
  const char *const wrappers[] = {
      NULL,  "params_ema", "params",  "state_dict", "model",    "model_state_dict",
      "net", "params-ema", "weights", "x y",        "Generator"};
  const char *const prefixes[] = {NULL,
                                  "module.",
                                  "net_g.",
                                  "netG.",
                                  "model.",
                                  "module.net_g.",
                                  "net.",
                                  "generator.",
                                  "a.b.c.d.",
                                  "_orig_mod.",
                                  "restorer.generator_ema."};
  for (size_t i = 0; i < sizeof wrappers / sizeof wrappers[0]; i++)
    for (size_t k = 0; k < sizeof prefixes / sizeof prefixes[0]; k++) {
      recipe r = {.model = &w->model, .wrapper = wrappers[i], .prefix = prefixes[k]};
      assert_recipe_converts(w, &r);
    }
}

/* One small tensor of the network, as the only thing in a dict. */
static void add_stub(bytes *b, const char *key) {
  const pickled_tensor t = {
      .type = "FloatStorage", .key = "stub", .storage_elements = 1, .ndim = 1, .size = {1}};
  pickle_string(b, key);
  bytes_add_text(b, "}(");
  pickle_string(b, "patch_embed.proj.weight");
  pickle_tensor(b, &t);
  bytes_add_text(b, "u");
}

static void averaged_weights_are_preferred(void **state) {
  workshop *w = *state;
  recipe r = {.model = &w->model, .wrapper = "params_ema"};
  add_stub(&r.outer, "params");
  add_stub(&r.outer, "state_dict");
  assert_recipe_converts(w, &r);
  r = (recipe){.model = &w->model, .wrapper = "params"};
  add_stub(&r.outer, "model");
  pickle_string(&r.outer, "params_ema");
  bytes_add_text(&r.outer, "N");
  pickle_string(&r.outer, "state_dict");
  bytes_add_text(&r.outer, "}");
  assert_recipe_converts(w, &r);
}

/* What convert says of a recipe that it takes. */
static void note(void *user, const char *message) {
  char *notes = user;
  snprintf(notes + strlen(notes), 1000 - strlen(notes), "%s\n", strchr(message, ' ') + 1);
}

static void assert_notes(workshop *w, recipe *r, const char *expected) {
  char notes[1000] = "";
  assert_recipe_converts(w, r);
  const rst_convert_options options = {.struct_size = sizeof options, .notice = note, .user = notes};
  assert_int_equal(rst_weights_convert(w->input, w->manifest, &options, NULL), RST_OK);
  assert_string_equal(notes, expected);
}

static void averaged_weights_under_any_name_are_preferred_and_said(void **state) {
  workshop *w = *state;
  const struct {
    const char *wrapper, *prefix, *stub, *notes;
  } cases[] = {
      {"params_ema", NULL, "params", "takes the averaged weights in params_ema, not those in params\n"},
      {"params-ema", NULL, NULL, "takes the averaged weights in params-ema\n"},
      {"EMA", "module.", "state_dict",
       "takes the averaged weights in EMA: module., not those in state_dict\n"},
      {"netEMA", NULL, "params", "takes the averaged weights in netEMA, not those in params\n"},
      {"swa_state_dict", NULL, "model", "takes the averaged weights in swa_state_dict, not those in model\n"},
      {NULL, "ema_model.", "params", "takes the averaged weights in ema_model., not those in params\n"},
      {"params", NULL, "schema", "takes the weights in params, not those in schema\n"},
      {"state_dict", NULL, "remap", "takes the weights in state_dict, not those in remap\n"},
      {NULL, NULL, "params", "takes the weights in its top, not those in params\n"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    recipe r = {.model = &w->model, .wrapper = cases[i].wrapper, .prefix = cases[i].prefix};
    if (cases[i].stub != NULL) add_stub(&r.outer, cases[i].stub);
    assert_notes(w, &r, cases[i].notes);
  }
}

static void several_networks_that_nothing_tells_apart(void **state) {
  workshop *w = *state;
  recipe r = {.model = &w->model, .wrapper = "teacher", .prefix = "net."};
  add_stub(&r.outer, "student");
  assert_recipe_refused(
      w, &r, "holds more than one network, and nothing tells which to take: teacher: net. and student");
  r = (recipe){.model = &w->model, .wrapper = "ema"};
  add_stub(&r.outer, "params");
  add_stub(&r.outer, "params_ema");
  assert_recipe_refused(w, &r,
                        "holds more than one network, and nothing tells which to take: ema and params_ema");
}

/* A module that has the network under two names saves its tensors twice. */
static void one_network_under_two_names(void **state) {
  workshop *w = *state;
  recipe r = {.model = &w->model, .prefix = "net."};
  const rst_tensor_spec *first = &w->model.specs[0];
  assert_string_equal(first->name, "patch_embed.proj.weight");
  pickled_tensor t = {
      .type = "FloatStorage", .key = "0", .storage_elements = (int64_t)first->elements, .ndim = 4};
  for (int d = 0; d < 4; d++) t.size[d] = (int64_t)first->shape[d];
  pickle_string(&r.inner, "model.net.patch_embed.proj.weight");
  pickle_tensor(&r.inner, &t);
  assert_notes(w, &r, "leaves out 1 tensor beside the network: model.net.patch_embed.proj.weight\n");
}

static void wrappers_in_wrappers(void **state) {
  workshop *w = *state;
  const char *const levels[] = {"params", "callbacks", "model", "any", "params"};
  for (size_t depth = 1; depth <= RST_SEARCH_DEPTH + 1; depth++) {
    recipe r = {.model = &w->model, .prefix = "module."};
    built b = build(&r);
    bytes wrapped = {0};
    for (size_t i = 0; i < depth; i++) {
      bytes_add_text(&wrapped, "}");
      pickle_string(&wrapped, levels[i]);
    }
    bytes_add(&wrapped, b.program.data, b.program.size - 1);
    for (size_t i = 0; i < depth; i++) bytes_add_text(&wrapped, "s");
    bytes_add_text(&wrapped, ".");
    bytes_free(&b.program);
    b.program = wrapped;
    write_zip(&b, w->input, NULL);
    built_free(&b);
    if (depth <= RST_SEARCH_DEPTH) {
      assert_converts(w);
      assert_int_equal(unlink(w->manifest), 0);
      assert_int_equal(unlink(w->tensors), 0);
    } else {
      assert_refused(w, "holds no Restormer network: there are no tensors with names in it");
    }
  }
}

/* (None, [epoch, {...}]) */
static void a_network_in_a_list_in_a_tuple(void **state) {
  workshop *w = *state;
  recipe r = {.model = &w->model};
  built b = build(&r);
  bytes wrapped = {0};
  bytes_add(&wrapped, "N](K\x03", 5);
  bytes_add(&wrapped, b.program.data, b.program.size - 1);
  bytes_add_text(&wrapped, "e\x86.");
  bytes_free(&b.program);
  b.program = wrapped;
  write_zip(&b, w->input, NULL);
  built_free(&b);
  assert_converts(w);
}

static void write_program(workshop *w, const bytes *program) {
  const built b = {.program = *program};
  write_zip(&b, w->input, NULL);
}

/* Under params, once: {"params": <the same dict>, "model": <the same dict>}. */
static void a_dict_that_holds_itself(void **state) {
  workshop *w = *state;
  bytes program = {0};
  bytes_add(&program, "}q\x00(", 4);
  pickle_string(&program, "params");
  bytes_add(&program, "h\x00", 2);
  pickle_string(&program, "model");
  bytes_add(&program, "h\x00u.", 4);
  write_program(w, &program);
  bytes_free(&program);
  assert_refused(w, "holds no Restormer network: there are no tensors with names in it");
}

/* Lists of a hundred times the same list: 10^10 items on five levels, in a few kilobytes. */
static void lists_that_hold_each_other_too_often(void **state) {
  workshop *w = *state;
  bytes program = {0};
  bytes_add(&program, "]q\x00", 3);
  for (char level = 1; level <= 5; level++) {
    bytes_add_text(&program, "](");
    for (int i = 0; i < 100; i++) bytes_add(&program, (const char[]){'h', (char)(level - 1)}, 2);
    bytes_add(&program, (const char[]){'e', 'q', level}, 3);
  }
  bytes_add_text(&program, ".");
  write_program(w, &program);
  bytes_free(&program);
  assert_refused(w, "its dicts and lists hold each other too often");
}

/* ---- What stands beside the network ------------------------------------------------------------------- */

static void add_vector(bytes *b, const char *name) {
  const pickled_tensor t = {
      .type = "LongStorage", .key = "extra", .storage_elements = 2, .ndim = 1, .size = {2}};
  pickle_string(b, name);
  pickle_tensor(b, &t);
}

static void tensors_of_others_are_left_out(void **state) {
  workshop *w = *state;
  recipe r = {.model = &w->model, .wrapper = "state_dict", .prefix = "net_g."};
  add_vector(&r.inner, "net_d.conv.weight");
  add_vector(&r.inner, "anything.else");
  assert_recipe_converts(w, &r);
  const char *const foreign[] = {"net_d.x",           "netD.x",     "discriminator.x", "criterion.x",
                                 "perceptual_loss.x", "optimizer.x"};
  for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
    r = (recipe){.model = &w->model};
    add_vector(&r.inner, foreign[i]);
    assert_recipe_converts(w, &r);
  }
}

/* Of one element, or of no dimensions. */
static void add_scalar(bytes *b, const char *name, const char *type, size_t ndim) {
  const pickled_tensor t = {.type = type, .key = type, .storage_elements = 1, .ndim = ndim, .size = {1}};
  pickle_string(b, name);
  pickle_tensor(b, &t);
}

static void counters_of_profilers_and_trainers_are_left_out(void **state) {
  workshop *w = *state;
  /* Inside a layer, a float could be a weight that this program does not know. */
  recipe r = {.model = &w->model};
  add_scalar(&r.inner, "latent.0.attn.scale", "FloatStorage", 1);
  assert_recipe_refused(w, &r, "tensor latent.0.attn.scale does not belong to the network");
  r = (recipe){.model = &w->model, .prefix = "net."};
  add_scalar(&r.inner, "net.total_ops", "DoubleStorage", 1);
  add_scalar(&r.inner, "net.encoder_level1.0.attn.total_params", "DoubleStorage", 1);
  add_scalar(&r.inner, "net.latent.0.norm1.num_batches_tracked", "LongStorage", 0);
  add_scalar(&r.inner, "net.best_psnr", "FloatStorage", 0);
  assert_notes(w, &r, "leaves out 4 tensors beside the network: net.total_ops, ...\n");
  r = (recipe){.model = &w->model};
  add_scalar(&r.inner, "n_averaged", "LongStorage", 0);
  pickle_string(&r.inner, "updates");
  bytes_add(&r.inner, "K\x05", 2);
  assert_notes(w, &r, "leaves out 1 tensor beside the network: n_averaged\n");
}

static void what_is_not_a_tensor_is_left_out(void **state) {
  workshop *w = *state;
  recipe r = {.model = &w->model};
  pickle_string(&r.outer, "epoch");
  bytes_add(&r.outer, "K\x03", 2);
  pickle_string(&r.outer, "optimizer");
  bytes_add_text(&r.outer, "}");
  bytes_add(&r.outer, "K\x05N", 3); /* a key that is no str */
  assert_recipe_converts(w, &r);
}

/* ---- What does not fit -------------------------------------------------------------------------------- */

static void assert_program_refused(workshop *w, const char *program, const char *message) {
  built b = {0};
  bytes_add_text(&b.program, program);
  write_zip(&b, w->input, NULL);
  built_free(&b);
  assert_refused(w, message);
}

static void a_checkpoint_that_is_no_dict(void **state) {
  workshop *w = *state;
  assert_program_refused(w, "].", "holds a list, expected a dict of tensors");
  assert_program_refused(w, "N.", "holds None, expected a dict of tensors");
  assert_program_refused(w, "cargparse\nNamespace\n)R.",
                         "holds an object of argparse.Namespace, expected a dict of tensors");
  assert_program_refused(w, "cos\nsystem\n(S'ls'\ntR.",
                         "pickle asks for os.system, which a checkpoint of weights does not need");
}

static void two_networks_in_one_dict(void **state) {
  workshop *w = *state;
  recipe r = {.model = &w->model, .prefix = "net_g."};
  add_vector(&r.inner, "module.patch_embed.proj.weight");
  assert_recipe_refused(w, &r,
                        "holds more than one network, and nothing tells which to take: net_g. and module.");
}

static void no_network_at_all(void **state) {
  workshop *w = *state;
  bytes program = {0};
  bytes_add_text(&program, "}(");
  add_vector(&program, "conv_first.weight");
  add_vector(&program, "patch_embed_proj.weight");
  add_vector(&program, "xpatch_embed.proj.weight");
  bytes_add_text(&program, "u.");
  write_program(w, &program);
  bytes_free(&program);
  assert_refused(
      w,
      "holds no Restormer network: none of its 3 tensors is patch_embed.proj.weight, with any prefix; "
      "the first is conv_first.weight");
}

static void tensors_that_are_missing(void **state) {
  workshop *w = *state;
  const char *const names[] = {"output.weight",
                               "encoder_level1.0.attn.temperature",
                               "encoder_level1.0.norm2.body.weight",
                               "encoder_level1.0.norm1.body.bias",
                               "latent.0.ffn.project_out.weight",
                               "decoder_level1.0.attn.qkv.weight",
                               "up2_1.body.0.weight"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    recipe r = {.model = &w->model, .omit = names[i]};
    char message[128];
    snprintf(message, sizeof message, "tensor %s is missing", names[i]);
    assert_recipe_refused(w, &r, message);
  }
}

static void parts_of_a_prompt_that_are_missing(void **state) {
  workshop *w = *state;
  const char *const names[] = {
      "prompt1.linear_layer.weight",   "prompt1.linear_layer.bias",          "prompt1.conv3x3.weight",
      "noise_level1.attn.temperature", "noise_level1.ffn.project_in.weight", "reduce_noise_level1.weight"};
  const rst_architecture a = architecture_prompted(2, 2);
  workshop_model(w, &a);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    recipe r = {.model = &w->model, .omit = names[i]};
    char message[128];
    snprintf(message, sizeof message, "tensor %s is missing", names[i]);
    assert_recipe_refused(w, &r, message);
  }
  recipe r = {.model = &w->model,
              .omit = "prompt1.prompt_param"}; /* no prompt then, but what remains of it */
  assert_recipe_refused(w, &r, "tensor noise_level1.attn.project_out.weight does not belong to the network");
}

static void tensors_that_do_not_belong(void **state) {
  workshop *w = *state;
  const char *const names[] = {"skip_conv.weight.more", "reduce_chan_level2.weight", "down9_10.body.0.weight",
                               "something.else"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    recipe r = {.model = &w->model};
    add_vector(&r.inner, names[i]);
    char message[128];
    snprintf(message, sizeof message, "tensor %s does not belong to the network", names[i]);
    assert_recipe_refused(w, &r, message);
  }
}

static void names_that_are_too_long(void **state) {
  workshop *w = *state;
  char name[257], message[512];
  memset(name, 'n', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  recipe r = {.model = &w->model};
  add_vector(&r.inner, name);
  snprintf(message, sizeof message, "tensor %.200s...: a name of 256 bytes, expected at most 255", name);
  assert_recipe_refused(w, &r, message);
  name[255] = '\0';
  recipe shorter = {.model = &w->model};
  add_vector(&shorter.inner, name);
  snprintf(message, sizeof message, "tensor %.200s does not belong to the network", name);
  assert_recipe_refused(w, &shorter, message);
}

/* Which views with strides of 0 would make of a small file. */
static void networks_that_are_too_large(void **state) {
  (void)state;
  rst_state_entry entry = {.name = {"x", 1}};
  const rst_state_dict nothing = {.entries = &entry, .count = 1};
  rst_architecture a = {
      .in_channels = 3, .out_channels = 3, .dim = 4096, .levels = 1, .num_blocks = {1}, .heads = {1}};
  rst_tensor_spec *specs;
  const rst_tensor_view **views;
  size_t count;
  rst_error err;
  a.ffn_hidden[0] = RST_MAX_HIDDEN; /* three matrices of 2^20 x 4096 */
  assert_int_equal(rst_state_dict_match(&nothing, "x", &a, &specs, &views, &count, &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, "x: a network of more than 1073741824 parameters");
  assert_null(specs);
  assert_null(views);
  a.ffn_hidden[0] = 4096;
  assert_int_equal(rst_state_dict_match(&nothing, "x", &a, &specs, &views, &count, &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, "x: tensor patch_embed.proj.weight is missing");
}

static void replace(recipe *r, const char *name, pickled_tensor t) {
  t.type = t.type != NULL ? t.type : "FloatStorage";
  t.key = "new";
  t.storage_elements = 1000;
  r->omit = name;
  pickle_string(&r->inner, name);
  pickle_tensor(&r->inner, &t);
}

static void tensors_of_another_shape_or_type(void **state) {
  workshop *w = *state;
  const struct {
    const char *name;
    pickled_tensor t;
    const char *message;
  } cases[] = {{"output.weight",
                {.ndim = 4, .size = {3, 4, 5, 3}},
                "tensor output.weight: shape [3, 4, 5, 3], expected [3, 4, 3, 3]"},
               {"output.weight",
                {.ndim = 3, .size = {3, 4, 9}},
                "tensor output.weight: shape [3, 4, 9], expected [3, 4, 3, 3]"},
               {"output.weight", {.ndim = 0}, "out_channels 0, expected 1 to 64"},
               {"patch_embed.proj.weight", {.ndim = 1, .size = {2}}, "in_channels 0, expected 1 to 64"},
               {"patch_embed.proj.weight",
                {.ndim = 4, .size = {INT64_MAX, 3, 3, 3}, .stride = {1, 1, 1, 1}},
                "dim 2147483647, expected 1 to 4096"},
               {"patch_embed.proj.weight",
                {.ndim = 4, .size = {3, 3, 3, 3}},
                "dim 3, expected an even number with more than one level"},
               {"latent.0.attn.temperature",
                {.ndim = 3, .size = {3, 1, 1}},
                "heads[1] 3, expected a divisor of the level's width, 4"},
               {"output.weight",
                {.type = "LongStorage", .ndim = 4, .size = {3, 4, 3, 3}},
                "tensor output.weight: type I64, expected F32, F16, BF16 or F64"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    recipe r = {.model = &w->model};
    replace(&r, cases[i].name, cases[i].t);
    assert_recipe_refused(w, &r, cases[i].message);
  }
}

static void a_name_that_is_there_twice_or_is_no_tensor(void **state) {
  workshop *w = *state;
  recipe r = {.model = &w->model};
  add_vector(&r.inner, "output.weight");
  assert_recipe_refused(w, &r, "tensor output.weight is there twice");
  r = (recipe){.model = &w->model, .omit = "output.weight"};
  pickle_string(&r.inner, "output.weight");
  bytes_add_text(&r.inner, "N");
  assert_recipe_refused(w, &r, "output.weight is None, expected a tensor");
}

static void block_numbers_beyond_all_bounds(void **state) {
  workshop *w = *state;
  recipe r = {.model = &w->model};
  add_vector(&r.inner, "latent.99999999999999999999.norm1.body.weight");
  assert_recipe_refused(w, &r, "num_blocks[1] 1001, expected 0 to 256");
  r = (recipe){.model = &w->model};
  add_vector(&r.inner, "latent.2.norm1.body.weight");
  assert_recipe_refused(w, &r, "tensor latent.1.norm1.body.weight is missing");
  r = (recipe){.model = &w->model};
  add_vector(&r.inner, "latent.x.norm1.body.weight");
  assert_recipe_refused(w, &r, "tensor latent.x.norm1.body.weight does not belong to the network");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, workshop_open, workshop_close)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(networks_of_one_to_five_levels),
      TEST(networks_without_attention),
      TEST(networks_with_prompts),
      TEST(networks_of_other_channels),
      TEST(hidden_widths_that_no_factor_gives),
      TEST(levels_without_blocks),
      TEST(any_wrapper_and_prefix),
      TEST(averaged_weights_are_preferred),
      TEST(averaged_weights_under_any_name_are_preferred_and_said),
      TEST(several_networks_that_nothing_tells_apart),
      TEST(one_network_under_two_names),
      TEST(wrappers_in_wrappers),
      TEST(a_network_in_a_list_in_a_tuple),
      TEST(lists_that_hold_each_other_too_often),
      TEST(counters_of_profilers_and_trainers_are_left_out),
      TEST(no_network_at_all),
      TEST(a_dict_that_holds_itself),
      TEST(tensors_of_others_are_left_out),
      TEST(what_is_not_a_tensor_is_left_out),
      TEST(a_checkpoint_that_is_no_dict),
      TEST(two_networks_in_one_dict),
      TEST(tensors_that_are_missing),
      TEST(parts_of_a_prompt_that_are_missing),
      TEST(tensors_that_do_not_belong),
      TEST(names_that_are_too_long),
      cmocka_unit_test(networks_that_are_too_large),
      TEST(tensors_of_another_shape_or_type),
      TEST(a_name_that_is_there_twice_or_is_no_tensor),
      TEST(block_numbers_beyond_all_bounds),
  };
  return cmocka_run_group_tests_name("state dict", tests, NULL, NULL);
}
