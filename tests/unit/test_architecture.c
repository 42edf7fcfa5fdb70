/* What hyper-parameters mean: ranges, tensors, parameters, MACs. */
#include <string.h>

#include "base/memory.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "model/architecture.h"

/* The published model for motion deblurring. */
static rst_architecture published(void) {
  return (rst_architecture){.in_channels = 3,
                            .out_channels = 3,
                            .dim = 48,
                            .levels = 4,
                            .num_blocks = {4, 6, 6, 8},
                            .num_refinement_blocks = 4,
                            .heads = {1, 2, 4, 8},
                            .ffn_hidden = {127, 255, 510, 1021},
                            .attention = {true, true, true, true},
                            .norm_bias = true,
                            .residual = true};
}

/* PromptIR as it is published. */
static rst_architecture promptir(void) {
  rst_architecture a = published();
  a.prompts[1] = (rst_prompt){5, 64, 64, 4, 425, 96};
  a.prompts[2] = (rst_prompt){5, 128, 32, 4, 851, 192};
  a.prompts[3] = (rst_prompt){5, 320, 16, 4, 1872, 192};
  return a;
}

/* One block a stage, width 4, hidden width 8 * 2^level. */
static rst_architecture small(int levels) {
  rst_architecture a = {.in_channels = 3, .out_channels = 3, .dim = 4, .levels = levels, .norm_bias = true};
  a.num_refinement_blocks = 1;
  for (int l = 0; l < levels; l++) {
    a.num_blocks[l] = 1;
    a.heads[l] = 2;
    a.ffn_hidden[l] = 8 << l;
    a.attention[l] = true;
  }
  return a;
}

typedef struct tensor_list {
  rst_tensor_spec *specs;
  size_t count;
} tensor_list;

static tensor_list list_of(const rst_architecture *a) {
  tensor_list list;
  rst_error err;
  assert_int_equal(rst_architecture_check(a, "test", &err), RST_OK);
  assert_int_equal(rst_architecture_tensors(a, &list.specs, &list.count, &err), RST_OK);
  return list;
}

static const rst_tensor_spec *find(const tensor_list *list, const char *name) {
  for (size_t i = 0; i < list->count; i++)
    if (strcmp(list->specs[i].name, name) == 0) return &list->specs[i];
  return NULL;
}

static void assert_shape(const tensor_list *list, const char *name, int ndim, size_t a, size_t b, size_t c,
                         size_t d) {
  const rst_tensor_spec *spec = find(list, name);
  if (spec == NULL) fail_msg("no tensor %s", name);
  assert_int_equal(spec->ndim, ndim);
  assert_int_equal(spec->shape[0], a);
  assert_int_equal(spec->shape[1], b);
  assert_int_equal(spec->shape[2], c);
  assert_int_equal(spec->shape[3], d);
  assert_int_equal(spec->elements, a * b * c * d);
}

static size_t parameters_of(const rst_architecture *a) {
  tensor_list list = list_of(a);
  size_t sum = 0;
  for (size_t i = 0; i < list.count; i++) sum += list.specs[i].elements;
  rst_free(list.specs);
  return sum;
}

/* ---- Tensors ------------------------------------------------------------------------------- */

static void test_published_models_have_the_published_number_of_parameters(void **state) {
  (void)state;
  rst_architecture a = published();
  assert_int_equal(parameters_of(&a), 26126644);
  a.norm_bias = false;
  assert_int_equal(parameters_of(&a), 26111668);
  /* 35.59 M are published, with those of six convolutions that never run. */
  a = promptir();
  const size_t unused =
      64 * 64 + 128 * 128 + 320 * 256 + (48 + 64) * 48 + (96 + 128) * 96 + (192 + 256) * 192;
  assert_int_equal(parameters_of(&a) + unused, 35592263);
}

static void test_published_model_has_the_published_macs(void **state) {
  (void)state;
  rst_architecture a = published();
  assert_int_equal(rst_architecture_macs(&a, 256, 256), UINT64_C(140990496768));
  a = promptir();
  assert_int_equal(rst_architecture_macs(&a, 256, 256), UINT64_C(158140833792));
}

static void test_names_are_in_the_order_of_the_state_dict(void **state) {
  (void)state;
  static const char *const expected[] = {
      "patch_embed.proj.weight",
      "encoder_level1.0.norm1.body.weight",
      "encoder_level1.0.norm1.body.bias",
      "encoder_level1.0.attn.temperature",
      "encoder_level1.0.attn.qkv.weight",
      "encoder_level1.0.attn.qkv.bias",
      "encoder_level1.0.attn.qkv_dwconv.weight",
      "encoder_level1.0.attn.qkv_dwconv.bias",
      "encoder_level1.0.attn.project_out.weight",
      "encoder_level1.0.attn.project_out.bias",
      "encoder_level1.0.norm2.body.weight",
      "encoder_level1.0.norm2.body.bias",
      "encoder_level1.0.ffn.project_in.weight",
      "encoder_level1.0.ffn.project_in.bias",
      "encoder_level1.0.ffn.dwconv.weight",
      "encoder_level1.0.ffn.dwconv.bias",
      "encoder_level1.0.ffn.project_out.weight",
      "encoder_level1.0.ffn.project_out.bias",
      "down1_2.body.0.weight",
      "latent.0.norm2.body.weight",
      "latent.0.norm2.body.bias",
      "latent.0.ffn.project_in.weight",
      "latent.0.ffn.project_in.bias",
      "latent.0.ffn.dwconv.weight",
      "latent.0.ffn.dwconv.bias",
      "latent.0.ffn.project_out.weight",
      "latent.0.ffn.project_out.bias",
      "up2_1.body.0.weight",
  };
  rst_architecture a = small(2);
  a.bias = true;
  a.attention[1] = false;
  tensor_list list = list_of(&a);
  size_t n = sizeof expected / sizeof expected[0];
  for (size_t i = 0; i < n; i++) assert_string_equal(list.specs[i].name, expected[i]);
  assert_string_equal(list.specs[n].name, "decoder_level1.0.norm1.body.weight");
  assert_string_equal(list.specs[list.count - 3].name, "refinement.0.ffn.project_out.bias");
  assert_string_equal(list.specs[list.count - 2].name, "output.weight");
  assert_string_equal(list.specs[list.count - 1].name, "output.bias");
  rst_free(list.specs);
}

static void test_shapes_of_four_levels(void **state) {
  (void)state;
  rst_architecture a = published();
  tensor_list list = list_of(&a);
  assert_shape(&list, "patch_embed.proj.weight", 4, 48, 3, 3, 3);
  assert_shape(&list, "encoder_level3.5.norm1.body.bias", 1, 192, 1, 1, 1);
  assert_shape(&list, "encoder_level3.5.attn.temperature", 3, 4, 1, 1, 1);
  assert_shape(&list, "encoder_level3.5.attn.qkv.weight", 4, 576, 192, 1, 1);
  assert_shape(&list, "encoder_level3.5.attn.qkv_dwconv.weight", 4, 576, 1, 3, 3);
  assert_shape(&list, "encoder_level3.5.attn.project_out.weight", 4, 192, 192, 1, 1);
  assert_shape(&list, "down3_4.body.0.weight", 4, 96, 192, 3, 3);
  assert_shape(&list, "latent.7.ffn.project_in.weight", 4, 2042, 384, 1, 1);
  assert_shape(&list, "latent.7.ffn.dwconv.weight", 4, 2042, 1, 3, 3);
  assert_shape(&list, "latent.7.ffn.project_out.weight", 4, 384, 1021, 1, 1);
  assert_shape(&list, "up4_3.body.0.weight", 4, 768, 384, 3, 3);
  assert_shape(&list, "reduce_chan_level3.weight", 4, 192, 384, 1, 1);
  assert_shape(&list, "reduce_chan_level2.weight", 4, 96, 192, 1, 1);
  assert_shape(&list, "up2_1.body.0.weight", 4, 192, 96, 3, 3);
  /* Level 1 of the decoder and the refinement: twice the width, the heads of level 1. */
  assert_shape(&list, "decoder_level1.3.attn.qkv.weight", 4, 288, 96, 1, 1);
  assert_shape(&list, "decoder_level1.3.attn.temperature", 3, 1, 1, 1, 1);
  assert_shape(&list, "refinement.3.ffn.project_out.weight", 4, 96, 255, 1, 1);
  assert_shape(&list, "output.weight", 4, 3, 96, 3, 3);
  assert_null(find(&list, "decoder_level1.4.norm1.body.weight"));
  assert_null(find(&list, "latent.8.norm1.body.weight"));
  assert_null(find(&list, "reduce_chan_level1.weight"));
  assert_null(find(&list, "skip_conv.weight"));
  assert_null(find(&list, "output.bias"));
  rst_free(list.specs);
}

static void test_shapes_of_prompts(void **state) {
  (void)state;
  rst_architecture a = promptir();
  tensor_list list = list_of(&a);
  const rst_tensor_spec *components = find(&list, "prompt3.prompt_param");
  static const size_t shape[] = {1, 5, 320, 16, 16};
  assert_int_equal(components->ndim, 5);
  assert_memory_equal(components->shape, shape, sizeof shape);
  assert_int_equal(components->elements, 5 * 320 * 16 * 16);
  assert_shape(&list, "prompt3.linear_layer.weight", 2, 5, 384, 1, 1);
  assert_shape(&list, "prompt3.linear_layer.bias", 1, 5, 1, 1, 1);
  assert_shape(&list, "prompt3.conv3x3.weight", 4, 320, 320, 3, 3);
  assert_shape(&list, "noise_level3.norm1.body.weight", 1, 704, 1, 1, 1);
  assert_shape(&list, "noise_level3.attn.temperature", 3, 4, 1, 1, 1);
  assert_shape(&list, "noise_level3.ffn.project_out.weight", 4, 704, 1872, 1, 1);
  assert_shape(&list, "reduce_noise_level3.weight", 4, 192, 704, 1, 1);
  assert_shape(&list, "up4_3.body.0.weight", 4, 384, 192, 3, 3);
  assert_shape(&list, "reduce_chan_level3.weight", 4, 192, 288, 1, 1);
  assert_shape(&list, "noise_level2.attn.qkv.weight", 4, 960, 320, 1, 1);
  assert_shape(&list, "reduce_noise_level2.weight", 4, 192, 320, 1, 1);
  assert_shape(&list, "reduce_noise_level1.weight", 4, 96, 160, 1, 1);
  assert_null(find(&list, "prompt0.prompt_param"));
  rst_free(list.specs);
}

static void test_shapes_of_one_level(void **state) {
  (void)state;
  rst_architecture a = small(1);
  a.dual_pixel = a.bias = true;
  a.in_channels = 6;
  tensor_list list = list_of(&a);
  assert_shape(&list, "patch_embed.proj.weight", 4, 4, 6, 3, 3);
  assert_shape(&list, "latent.0.attn.qkv.weight", 4, 12, 4, 1, 1);
  assert_shape(&list, "refinement.0.ffn.project_in.weight", 4, 16, 4, 1, 1);
  assert_shape(&list, "skip_conv.weight", 4, 4, 4, 1, 1);
  assert_shape(&list, "skip_conv.bias", 1, 4, 1, 1, 1);
  assert_shape(&list, "output.weight", 4, 3, 4, 3, 3);
  assert_int_equal(list.count, 1 + 2 * 17 + 2 + 2);
  rst_free(list.specs);
}

static void test_shapes_of_five_levels(void **state) {
  (void)state;
  rst_architecture a = small(5);
  tensor_list list = list_of(&a);
  assert_shape(&list, "down4_5.body.0.weight", 4, 16, 32, 3, 3);
  assert_shape(&list, "latent.0.norm2.body.weight", 1, 64, 1, 1, 1);
  assert_shape(&list, "up5_4.body.0.weight", 4, 128, 64, 3, 3);
  assert_shape(&list, "reduce_chan_level4.weight", 4, 32, 64, 1, 1);
  assert_shape(&list, "decoder_level4.0.ffn.project_out.weight", 4, 32, 64, 1, 1);
  assert_null(find(&list, "encoder_level5.0.norm1.body.weight"));
  rst_free(list.specs);
}

static void test_dual_pixel_has_skip_conv_before_the_output(void **state) {
  (void)state;
  rst_architecture a = small(2);
  a.dual_pixel = true;
  a.in_channels = 6;
  tensor_list list = list_of(&a);
  assert_shape(&list, "skip_conv.weight", 4, 8, 4, 1, 1);
  assert_string_equal(list.specs[list.count - 2].name, "skip_conv.weight");
  rst_free(list.specs);
}

static void test_a_block_without_attention_has_norm2_and_ffn_only(void **state) {
  (void)state;
  rst_architecture a = small(1);
  a.attention[0] = a.norm_bias = false;
  tensor_list list = list_of(&a);
  assert_int_equal(list.count, 1 + 2 * 4 + 1);
  assert_null(find(&list, "latent.0.norm1.body.weight"));
  assert_null(find(&list, "latent.0.attn.temperature"));
  assert_non_null(find(&list, "refinement.0.norm2.body.weight"));
  rst_free(list.specs);
}

/* ---- MACs ---------------------------------------------------------------------------------- */

static void test_macs_of_one_level_by_hand(void **state) {
  (void)state;
  rst_architecture a = small(1); /* width 4, hidden 8, 3 channels in and out, two blocks */
  uint64_t block = 12 * 4 + 12 * 9 + 4 * 4 + 16 * 4 + 16 * 9 + 4 * 8;
  uint64_t ends = 4 * 3 * 9 + 3 * 4 * 9;
  assert_int_equal(rst_architecture_macs(&a, 5, 7), 35 * (2 * block + ends));
}

static void test_macs_are_of_the_padded_size(void **state) {
  (void)state;
  rst_architecture a = published();
  assert_int_equal(rst_architecture_macs(&a, 250, 255), rst_architecture_macs(&a, 256, 256));
  assert_int_equal(rst_architecture_macs(&a, 1, 1), rst_architecture_macs(&a, 8, 8));
  assert_int_equal(rst_architecture_macs(&a, 16, 8), 2 * rst_architecture_macs(&a, 8, 8));
}

static void test_macs_that_do_not_fit_stay_at_the_largest_number(void **state) {
  (void)state;
  rst_architecture a = published();
  assert_int_equal(rst_architecture_macs(&a, SIZE_MAX, SIZE_MAX), UINT64_MAX);
  assert_int_equal(rst_architecture_macs(&a, SIZE_MAX, 1), UINT64_MAX);
}

static void test_macs_of_no_architecture_are_none(void **state) {
  (void)state;
  rst_architecture a = published();
  a.levels = 6;
  assert_int_equal(rst_architecture_macs(&a, 256, 256), 0);
  a.levels = 0;
  assert_int_equal(rst_architecture_macs(&a, 256, 256), 0);
}

/* ---- Stages and JSON ------------------------------------------------------------------------ */

static void test_stages_are_runs_of_blocks(void **state) {
  (void)state;
  static const rst_stage_info expected[] = {{0, "encoder_level1", "MDTA, GDFN", 0, 48, 4, 1, 127},
                                            {0, "encoder_level2", "GDFN", 1, 96, 6, 0, 255},
                                            {0, "latent", "MDTA, GDFN", 3, 384, 8, 8, 1021},
                                            {0, "decoder_level2", "GDFN", 1, 96, 6, 0, 255},
                                            {0, "decoder_level1", "MDTA, GDFN", 0, 96, 4, 1, 255},
                                            {0, "refinement", "MDTA, GDFN", 0, 96, 4, 1, 255}};
  const size_t count = sizeof expected / sizeof *expected;
  rst_architecture a = published();
  a.attention[1] = false;
  a.num_blocks[2] = 0;
  rst_stage_info info;
  rst_stage_info_init(&info);
  for (size_t i = 0; i < count; i++) {
    assert_true(rst_architecture_stage(&a, i, &info));
    assert_string_equal(info.name, expected[i].name);
    assert_string_equal(info.block, expected[i].block);
    assert_int_equal(info.level, expected[i].level);
    assert_int_equal(info.width, expected[i].width);
    assert_int_equal(info.blocks, expected[i].blocks);
    assert_int_equal(info.heads, expected[i].heads);
    assert_int_equal(info.ffn_hidden, expected[i].ffn_hidden);
  }
  assert_false(rst_architecture_stage(&a, count, &info));
  a.prompts[3] = promptir().prompts[3];
  assert_true(rst_architecture_stage(&a, 3, &info));
  assert_string_equal(info.name, "noise_level3");
  assert_true(info.width == 704 && info.blocks == 1 && info.heads == 4 && info.ffn_hidden == 1872);
  a.dim = 0;
  assert_false(rst_architecture_stage(&a, 0, &info));
}

static void test_json_is_cut_where_the_text_ends(void **state) {
  (void)state;
  rst_architecture a = published();
  char whole[RST_ARCHITECTURE_JSON], text[RST_ARCHITECTURE_JSON];
  rst_architecture_json(&a, whole, sizeof whole);
  const size_t length = strlen(whole);
  assert_true(length > 0 && whole[length - 1] == '}');
  for (size_t size = 1; size <= length + 1; size++) {
    memset(text, 'x', sizeof text);
    rst_architecture_json(&a, text, size);
    assert_int_equal(strlen(text), size - 1);
    assert_memory_equal(text, whole, size - 1);
    assert_int_equal(text[size], 'x');
  }
  a = (rst_architecture){.in_channels = 64, .out_channels = 64, .dim = 4096, .levels = 5};
  a.num_refinement_blocks = 256;
  for (int l = 0; l < 5; l++) {
    a.num_blocks[l] = 256, a.heads[l] = 65536, a.ffn_hidden[l] = (1 << 20) - 1;
    a.prompts[l] = (rst_prompt){64, 4096, 256, 65536, (1 << 20) - 1, 65536};
  }
  rst_architecture_json(&a, whole, sizeof whole);
  assert_true(strlen(whole) < sizeof whole - 1 && whole[strlen(whole) - 1] == '}'); /* the longest there is */
}

static void test_multiple_is_a_power_of_two(void **state) {
  (void)state;
  for (int levels = 1; levels <= RST_MAX_LEVELS; levels++) {
    rst_architecture a = small(levels);
    assert_int_equal(rst_architecture_multiple(&a), 1 << (levels - 1));
  }
}

/* ---- Ranges -------------------------------------------------------------------------------- */

static void assert_refused(const rst_architecture *a, const char *message) {
  rst_error err;
  assert_int_equal(rst_architecture_check(a, "x.json: model", &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, message);
}

#define REFUSED(change, message)      \
  do {                                \
    rst_architecture a = published(); \
    change;                           \
    assert_refused(&a, message);      \
  } while (0)

static void test_fields_out_of_range_are_refused(void **state) {
  (void)state;
  REFUSED(a.in_channels = 0, "x.json: model: in_channels 0, expected 1 to 64");
  REFUSED(a.in_channels = 65, "x.json: model: in_channels 65, expected 1 to 64");
  REFUSED(a.out_channels = -1, "x.json: model: out_channels -1, expected 1 to 64");
  REFUSED(a.dim = 0, "x.json: model: dim 0, expected 1 to 4096");
  REFUSED(a.dim = 4097, "x.json: model: dim 4097, expected 1 to 4096");
  REFUSED(a.levels = 0, "x.json: model: number of levels 0, expected 1 to 5");
  REFUSED(a.levels = 6, "x.json: model: number of levels 6, expected 1 to 5");
  REFUSED(a.num_blocks[2] = 257, "x.json: model: num_blocks[2] 257, expected 0 to 256");
  REFUSED(a.num_refinement_blocks = -1, "x.json: model: num_refinement_blocks -1, expected 0 to 256");
  REFUSED(a.ffn_hidden[3] = 0, "x.json: model: ffn_hidden[3] 0, expected 1 to 1048575");
  REFUSED(a.ffn_hidden[0] = 1 << 20, "x.json: model: ffn_hidden[0] 1048576, expected 1 to 1048575");
  REFUSED(a.heads[0] = 0, "x.json: model: heads[0] 0, expected a divisor of the level's width, 48");
  REFUSED(a.heads[1] = 5, "x.json: model: heads[1] 5, expected a divisor of the level's width, 96");
}

static void test_fields_that_do_not_fit_together_are_refused(void **state) {
  (void)state;
  REFUSED(a.dim = 49, "x.json: model: dim 49, expected an even number with more than one level");
  REFUSED((a.dual_pixel = true, a.residual = false),
          "x.json: model: in_channels 3, expected an even number with dual_pixel");
  REFUSED(a.out_channels = 1,
          "x.json: model: out_channels 1, expected 3, as many as in_channels, with residual");
}

static void test_prompts_out_of_range_are_refused(void **state) {
  (void)state;
  static const rst_prompt sound = {5, 64, 64, 4, 425, 96};
#define PROMPT_REFUSED(level, change, message) \
  REFUSED(                                     \
      {                                        \
        rst_prompt *p = &a.prompts[level];     \
        *p = sound;                            \
        change;                                \
      },                                       \
      "x.json: model: prompts[" #level "]" message)
  PROMPT_REFUSED(0, p->heads = 1, ": level 0, which is not upsampled, has no prompt");
  PROMPT_REFUSED(1, p->length = -1, ".length -1, expected 1 to 64");
  PROMPT_REFUSED(1, p->length = 65, ".length 65, expected 1 to 64");
  PROMPT_REFUSED(2, p->dim = 0, ".dim 0, expected 1 to 4096");
  PROMPT_REFUSED(2, p->size = 257, ".size 257, expected 1 to 256");
  PROMPT_REFUSED(3, p->ffn_hidden = 0, ".ffn_hidden 0, expected 1 to 1048575");
  PROMPT_REFUSED(3, p->out_channels = 0, ".out_channels 0, expected 2 to 65536");
  PROMPT_REFUSED(3, p->heads = 5, ".heads 5, expected a divisor of level and prompt's width, 448");
  PROMPT_REFUSED(3, p->heads = 0, ".heads 0, expected a divisor of level and prompt's width, 448");
  PROMPT_REFUSED(2, p->out_channels = 95, ".out_channels 95, expected an even number");
  PROMPT_REFUSED(1, p->out_channels = 98, ".out_channels 98, expected 96, twice dim");
}

static void test_extremes_are_accepted(void **state) {
  (void)state;
  rst_error err;
  rst_architecture a = {.in_channels = 64, .out_channels = 64, .dim = 4096, .levels = 5, .residual = true};
  a.num_refinement_blocks = 256;
  for (int l = 0; l < 5; l++) a.num_blocks[l] = 256, a.heads[l] = 4096, a.ffn_hidden[l] = (1 << 20) - 1;
  assert_int_equal(rst_architecture_check(&a, "x", &err), RST_OK);
  a = (rst_architecture){
      .in_channels = 1, .out_channels = 2, .dim = 1, .levels = 1, .heads = {1}, .ffn_hidden = {1}};
  assert_int_equal(rst_architecture_check(&a, "x", NULL), RST_OK);
}

static rst_status list_and_free(void *user, rst_error *err) {
  rst_tensor_spec *specs;
  size_t count;
  rst_status status = rst_architecture_tensors(user, &specs, &count, err);
  rst_free(specs);
  return status;
}

static void test_missing_memory_is_reported(void **state) {
  (void)state;
  rst_architecture a = published();
  assert_true(fail_each_alloc(list_and_free, &a) > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_published_models_have_the_published_number_of_parameters),
      cmocka_unit_test(test_published_model_has_the_published_macs),
      cmocka_unit_test(test_names_are_in_the_order_of_the_state_dict),
      cmocka_unit_test(test_shapes_of_four_levels),
      cmocka_unit_test(test_shapes_of_prompts),
      cmocka_unit_test(test_shapes_of_one_level),
      cmocka_unit_test(test_shapes_of_five_levels),
      cmocka_unit_test(test_dual_pixel_has_skip_conv_before_the_output),
      cmocka_unit_test(test_a_block_without_attention_has_norm2_and_ffn_only),
      cmocka_unit_test(test_macs_of_one_level_by_hand),
      cmocka_unit_test(test_macs_are_of_the_padded_size),
      cmocka_unit_test(test_macs_that_do_not_fit_stay_at_the_largest_number),
      cmocka_unit_test(test_macs_of_no_architecture_are_none),
      cmocka_unit_test(test_stages_are_runs_of_blocks),
      cmocka_unit_test(test_json_is_cut_where_the_text_ends),
      cmocka_unit_test(test_multiple_is_a_power_of_two),
      cmocka_unit_test(test_fields_out_of_range_are_refused),
      cmocka_unit_test(test_fields_that_do_not_fit_together_are_refused),
      cmocka_unit_test(test_prompts_out_of_range_are_refused),
      cmocka_unit_test(test_extremes_are_accepted),
      cmocka_unit_test(test_missing_memory_is_reported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
