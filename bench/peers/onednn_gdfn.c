/* onednn_gdfn.c - a level-1 GDFN (48 -> 2 x 127 -> 48, without layer norm and residual) as a chain of
 * oneDNN's primitives, on 256 x 256 pixels, for comparison:  onednn_gdfn [REPEATS]
 *
 * Each half of the hidden channels has maps of its own, padded to 128 channels. Four chains: maps in the
 * layout that oneDNN likes best for a convolution, or in blocks of 16 channels; the gate as primitives of its
 * own (GELU in place, then a product), or as post-operations of the depthwise convolutions. Prints one JSON
 * object, seconds of each run. The number of threads is OMP_NUM_THREADS. */
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CHANNELS = 48, HALF = 128, MOST_STEPS = 8, MOST_REPEATS = 1000 };

static dnnl_engine_t engine;
static dnnl_stream_t stream;

static void check(dnnl_status_t status, const char *what) {
  if (status == dnnl_success) return;
  fprintf(stderr, "onednn_gdfn: %s: status %d\n", what, (int)status);
  exit(1);
}
#define DO(call) check(call, #call)

/* ---- Memory --------------------------------------------------------------------------------- */

/* Memory of that layout with small random numbers in it. */
static dnnl_memory_t new_memory(const dnnl_memory_desc_t *desc) {
  dnnl_memory_t memory;
  void *data;
  DO(dnnl_memory_create(&memory, desc, engine, DNNL_MEMORY_ALLOCATE));
  DO(dnnl_memory_get_data_handle(memory, &data));
  const size_t count = dnnl_memory_desc_get_size(desc) / sizeof(float);
  unsigned state = 1;
  for (size_t i = 0; i < count; i++) {
    state = state * 1664525U + 1013904223U;
    ((float *)data)[i] = (float)(int)state * 0x1p-33F;
  }
  return memory;
}

typedef struct picture {
  dnnl_dim_t height, width;
  dnnl_format_tag_t layout; /* of all maps */
} picture;

static dnnl_memory_desc_t map_desc(dnnl_dim_t channels, const picture *p) {
  dnnl_memory_desc_t desc;
  const dnnl_dims_t dims = {1, channels, p->height, p->width};
  DO(dnnl_memory_desc_init_by_tag(&desc, 4, dims, dnnl_f32, p->layout));
  return desc;
}

static const dnnl_memory_desc_t *desc_of(dnnl_memory_t memory) {
  const dnnl_memory_desc_t *desc;
  DO(dnnl_memory_get_memory_desc(memory, &desc));
  return desc;
}

/* ---- Chains --------------------------------------------------------------------------------- */

typedef struct step {
  dnnl_primitive_t primitive;
  dnnl_exec_arg_t args[4];
  int arg_count;
} step;

typedef struct chain {
  step steps[MOST_STEPS];
  int count;
} chain;

static step *add_step(chain *c, const_dnnl_primitive_desc_t desc) {
  step *s = &c->steps[c->count++];
  DO(dnnl_primitive_create(&s->primitive, desc));
  return s;
}

static void add_arg(step *s, int name, dnnl_memory_t memory) {
  s->args[s->arg_count++] = (dnnl_exec_arg_t){name, memory};
}

/* A convolution, k x k, of its channels each by itself or all together. Either of *from and *to may be NULL:
 * then it is made in the layout that the convolution wants. Returns the step. */
static step *convolution(chain *c, const picture *p, int k, int depthwise, dnnl_memory_t *from, dnnl_dim_t in,
                         dnnl_memory_t *to, dnnl_dim_t out, const_dnnl_primitive_attr_t attributes) {
  const dnnl_memory_desc_t source = *from != NULL ? *desc_of(*from) : map_desc(in, p);
  const dnnl_memory_desc_t target = *to != NULL ? *desc_of(*to) : map_desc(out, p);
  const dnnl_dims_t plain = {out, in, k, k}, grouped = {out, 1, 1, k, k}, strides = {1, 1},
                    padding = {k / 2, k / 2};
  dnnl_memory_desc_t weights;
  DO(dnnl_memory_desc_init_by_tag(&weights, depthwise ? 5 : 4, depthwise ? grouped : plain, dnnl_f32,
                                  dnnl_format_tag_any));
  dnnl_convolution_desc_t desc;
  DO(dnnl_convolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_convolution_auto, &source,
                                        &weights, NULL, &target, strides, padding, padding));
  dnnl_primitive_desc_t primitive;
  DO(dnnl_primitive_desc_create(&primitive, &desc, attributes, engine, NULL));
  if (*from == NULL) *from = new_memory(dnnl_primitive_desc_query_md(primitive, dnnl_query_src_md, 0));
  if (*to == NULL) *to = new_memory(dnnl_primitive_desc_query_md(primitive, dnnl_query_dst_md, 0));
  step *s = add_step(c, primitive);
  add_arg(s, DNNL_ARG_SRC, *from);
  add_arg(s, DNNL_ARG_WEIGHTS, new_memory(dnnl_primitive_desc_query_md(primitive, dnnl_query_weights_md, 0)));
  add_arg(s, DNNL_ARG_DST, *to);
  DO(dnnl_primitive_desc_destroy(primitive));
  return s;
}

/* x1 = gelu(x1), gated = x1 * x2 */
static void gate(chain *c, dnnl_memory_t x1, dnnl_memory_t x2, dnnl_memory_t gated) {
  dnnl_primitive_desc_t primitive;
  dnnl_eltwise_desc_t gelu;
  DO(dnnl_eltwise_forward_desc_init(&gelu, dnnl_forward_inference, dnnl_eltwise_gelu_erf, desc_of(x1), 0, 0));
  DO(dnnl_primitive_desc_create(&primitive, &gelu, NULL, engine, NULL));
  step *s = add_step(c, primitive);
  add_arg(s, DNNL_ARG_SRC, x1);
  add_arg(s, DNNL_ARG_DST, x1);
  DO(dnnl_primitive_desc_destroy(primitive));

  dnnl_binary_desc_t product;
  DO(dnnl_binary_desc_init(&product, dnnl_binary_mul, desc_of(x1), desc_of(x2), desc_of(gated)));
  DO(dnnl_primitive_desc_create(&primitive, &product, NULL, engine, NULL));
  s = add_step(c, primitive);
  add_arg(s, DNNL_ARG_SRC_0, x1);
  add_arg(s, DNNL_ARG_SRC_1, x2);
  add_arg(s, DNNL_ARG_DST, gated);
  DO(dnnl_primitive_desc_destroy(primitive));
}

static dnnl_primitive_attr_t with_post_ops(dnnl_post_ops_t after) {
  dnnl_primitive_attr_t attributes;
  DO(dnnl_primitive_attr_create(&attributes));
  DO(dnnl_primitive_attr_set_post_ops(attributes, after));
  DO(dnnl_post_ops_destroy(after));
  return attributes;
}

/* The depthwise convolutions of both halves, and the gate on the way. */
static dnnl_memory_t fused_gate(chain *c, const picture *p, dnnl_memory_t x1, dnnl_memory_t x2) {
  dnnl_memory_t activated = NULL, gated = NULL;
  dnnl_post_ops_t after;
  DO(dnnl_post_ops_create(&after));
  DO(dnnl_post_ops_append_eltwise(after, 1, dnnl_eltwise_gelu_erf, 0, 0));
  dnnl_primitive_attr_t attributes = with_post_ops(after);
  convolution(c, p, 3, 1, &x1, HALF, &activated, HALF, attributes);
  DO(dnnl_primitive_attr_destroy(attributes));
  DO(dnnl_post_ops_create(&after));
  DO(dnnl_post_ops_append_binary(after, dnnl_binary_mul, desc_of(activated)));
  attributes = with_post_ops(after);
  step *s = convolution(c, p, 3, 1, &x2, HALF, &gated, HALF, attributes);
  add_arg(s, DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, activated);
  DO(dnnl_primitive_attr_destroy(attributes));
  return gated;
}

static dnnl_memory_t separate_gate(chain *c, const picture *p, dnnl_memory_t x1, dnnl_memory_t x2) {
  dnnl_memory_t deep1 = NULL, deep2 = NULL;
  convolution(c, p, 3, 1, &x1, HALF, &deep1, HALF, NULL);
  convolution(c, p, 3, 1, &x2, HALF, &deep2, HALF, NULL);
  dnnl_memory_t gated = new_memory(desc_of(deep1));
  gate(c, deep1, deep2, gated);
  return gated;
}

static chain make_chain(const picture *p, int fused) {
  chain c = {.count = 0};
  dnnl_memory_t x = NULL, x1 = NULL, x2 = NULL, result = NULL;
  convolution(&c, p, 1, 0, &x, CHANNELS, &x1, HALF, NULL);
  convolution(&c, p, 1, 0, &x, CHANNELS, &x2, HALF, NULL);
  dnnl_memory_t gated = fused ? fused_gate(&c, p, x1, x2) : separate_gate(&c, p, x1, x2);
  convolution(&c, p, 1, 0, &gated, HALF, &result, CHANNELS, NULL);
  return c;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double run(const chain *c) {
  const double start = now();
  for (int i = 0; i < c->count; i++)
    DO(dnnl_primitive_execute(c->steps[i].primitive, stream, c->steps[i].arg_count, c->steps[i].args));
  DO(dnnl_stream_wait(stream));
  return now() - start;
}

int main(int argc, char **argv) {
  static const char *const names[] = {"any layout", "any layout, post-ops", "blocks of 16",
                                      "blocks of 16, post-ops"};
  enum { CHAINS = sizeof names / sizeof *names };
  char *end = "";
  const long repeats = argc > 1 ? strtol(argv[1], &end, 10) : 50;
  if (argc > 2 || *end != '\0' || repeats < 1 || repeats > MOST_REPEATS) {
    fputs("usage: onednn_gdfn [REPEATS]\n", stderr);
    return 2;
  }
  DO(dnnl_engine_create(&engine, dnnl_cpu, 0));
  DO(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
  chain chains[CHAINS];
  static double seconds[CHAINS][MOST_REPEATS];
  for (int i = 0; i < CHAINS; i++) {
    const picture p = {256, 256, i < 2 ? dnnl_format_tag_any : dnnl_nChw16c};
    chains[i] = make_chain(&p, i % 2);
    run(&chains[i]);
  }
  for (int n = 0; n < repeats; n++)
    for (int i = 0; i < CHAINS; i++) seconds[i][n] = run(&chains[i]);
  const dnnl_version_t *version = dnnl_version();
  printf("{\"version\": \"%d.%d.%d\"", version->major, version->minor, version->patch);
  for (int i = 0; i < CHAINS; i++) {
    printf(", \"%s\": [", names[i]);
    for (int n = 0; n < repeats; n++) printf("%s%.6f", n > 0 ? ", " : "", seconds[i][n]);
    printf("]");
  }
  printf("}\n");
  return 0;
}
