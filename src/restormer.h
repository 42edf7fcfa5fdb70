/* restormer.h - the public interface of librestormer: image restoration with Restormer
 * (Zamir et al., "Restormer: Efficient Transformer for High-Resolution Image Restoration",
 * CVPR 2022, arXiv 2111.09881).
 *
 * Conventions that hold everywhere:
 * - Functions that can fail return an rst_status and, where `err` is not NULL, leave a one-line
 *   message in it that names the file, the thing, what was expected and what was found; "" on success.
 *   On failure, output parameters are NULL or zeroed and own nothing.
 * - Structs that grow with the library begin with `struct_size` and have a function rst_..._init that sets
 *   it and the defaults; members are set after it. Programs built with an older or newer header go on
 *   working: what the library does not know and is not zero is refused with RST_ERROR_USAGE. Where options
 *   may be NULL, that means the defaults.
 * - The library prints nothing, never exits, and keeps no global state. Objects that are passed as
 *   const may be used by several threads at once.
 * - Sizes of pictures are in pixels, sizes of memory in bytes.
 */
#ifndef RESTORMER_H
#define RESTORMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* the shared library exports what stands here and nothing else */

/* Of this header. */
#define RST_VERSION "0.1.0"
#define RST_MAX_LEVELS 5

typedef enum rst_status {
  RST_OK = 0,
  RST_ERROR_USAGE = 1,   /* an argument or an option is wrong or does not fit the model */
  RST_ERROR_WEIGHTS = 2, /* manifest, weight file or checkpoint cannot be used */
  RST_ERROR_INPUT = 3,   /* a picture cannot be read */
  RST_ERROR_OUTPUT = 4,  /* a file cannot be written */
  RST_ERROR_MEMORY = 5,  /* out of memory */
  RST_ERROR_NUMBERS = 6, /* a computation overflowed: the weights and the input do not go together */
  RST_CANCELLED = 7      /* the progress callback asked to stop */
} rst_status;

typedef struct rst_error {
  char message[1024]; /* one line, no newline at the end; "" when there was no error */
} rst_error;

/* The version of the library that runs, as RST_VERSION has that of the header. */
const char *rst_version(void);

/* ---- Images -------------------------------------------------------------------------------- */

typedef enum rst_sample {
  RST_SAMPLE_U8,  /* 0..255 */
  RST_SAMPLE_U16, /* 0..65535, host byte order */
  RST_SAMPLE_F32  /* 0..1 nominally; values outside are kept */
} rst_sample;

/* Bytes of one sample. */
size_t rst_sample_size(rst_sample sample);

/* A picture in memory: interleaved, rows from top to bottom without gaps, samples[(y * width + x) * channels
 * + c]. */
typedef struct rst_image rst_image;

/* 1 channel: grey, 2: grey + alpha, 3: RGB, 4: RGBA; the samples are 0. RST_ERROR_USAGE or RST_ERROR_MEMORY.
 */
rst_status rst_image_create(size_t width, size_t height, int channels, rst_sample sample, rst_image **image,
                            rst_error *err);
void rst_image_free(rst_image *image); /* NULL is allowed */

size_t rst_image_width(const rst_image *image); /* 1 or more */
size_t rst_image_height(const rst_image *image);
int rst_image_channels(const rst_image *image);
rst_sample rst_image_sample(const rst_image *image);
/* They belong to the image; of one that is const they are not to be changed. */
void *rst_image_samples(const rst_image *image);

/* samples[i], where 1 is white: an integer divided by the largest of its type, a float as it is. */
double rst_image_value(const rst_image *image, size_t i);

/* ---- Images: metadata ---- */

/* What a file says about its picture besides the samples. It is read with the image, goes with it through
 * rst_restore_image, and is written where the format can hold it. */
typedef enum rst_metadata {
  RST_METADATA_ICC,  /* colour profile */
  RST_METADATA_EXIF, /* as a TIFF structure, without "Exif\0\0" */
  RST_METADATA_XMP,  /* XML */
  /* The data of PNG's chunks of these names, of 1, 4, 32, 4 and 9 bytes. */
  RST_METADATA_SRGB,
  RST_METADATA_GAMA,
  RST_METADATA_CHRM,
  RST_METADATA_CICP,
  RST_METADATA_PHYS, /* resolution: pixels per unit in x and in y (32 bits, big-endian), unit (1: metre) */
  RST_METADATA_TEXT  /* keywords and texts, which have functions of their own */
} rst_metadata;

/* The bytes, which belong to the image, and their number; NULL: there are none. Not for texts. */
const void *rst_image_metadata(const rst_image *image, rst_metadata kind, size_t *size);
/* Replaces them by a copy of `data`; size 0: by none. RST_ERROR_USAGE or RST_ERROR_MEMORY. */
rst_status rst_image_set_metadata(rst_image *image, rst_metadata kind, const void *data, size_t size,
                                  rst_error *err);
/* Text i and its keyword (which may be NULL), both UTF-8; NULL: there is none. A JPEG's comment is "Comment".
 */
const char *rst_image_text(const rst_image *image, size_t i, const char **keyword);
size_t rst_image_text_count(const rst_image *image);
/* Keywords have 1 to 79 bytes. RST_ERROR_USAGE or RST_ERROR_MEMORY. */
rst_status rst_image_add_text(rst_image *image, const char *keyword, const char *text, rst_error *err);
/* Makes the metadata of `to` those of `from`. RST_ERROR_MEMORY. */
rst_status rst_image_copy_metadata(const rst_image *from, rst_image *to, rst_error *err);

/* ---- Images: files ---- */

/* A format of picture files. Made by the library only: later versions may append members. */
typedef struct rst_image_format {
  const char *name;    /* "png", as options have it */
  const char *title;   /* "PNG", as messages have it */
  const char *endings; /* with blanks between them, the usual one first: ".jpg .jpeg" */
  bool reads, writes;  /* what this build can do; neither: the format was left out */
  unsigned samples;    /* a bit 1 << RST_SAMPLE_... for each type that a file can hold */
  size_t largest_side; /* that can be written */
  bool alpha;          /* can be written */
  unsigned metadata;   /* a bit 1 << RST_METADATA_... for each kind that can be written */
} rst_image_format;

/* The formats that this library knows, in order; NULL after the last. */
const rst_image_format *rst_image_format_at(size_t i);
/* The format with that name or one of its endings (without the dot), in any case; NULL: there is none. */
const rst_image_format *rst_image_format_named(const char *name);
/* The format that the ending of `path` names, in any case; NULL: there is none. */
const rst_image_format *rst_image_format_of(const char *path);

typedef struct rst_image_read_options {
  size_t struct_size;  /* set by rst_image_read_options_init */
  size_t max_pixels;   /* of the picture; 0: 2^30 */
  uint64_t max_memory; /* bytes that the image and its decoder may hold, the file not counted; 0: no limit */
  void (*warning)(void *user, const char *message); /* one line for each fault that does no harm, and for what
                                                       is lost; may be NULL */
  bool (*cancelled)(void *user);                    /* asked every now and then, true to stop; may be NULL */
  void *user;                                       /* passed to both */
  bool sandbox; /* decode in a helper process that has given up all rights: where rst_sandbox_available, else
                   without effect. A kernel that refuses is an error. */
} rst_image_read_options;

/* Whether this build can decode (pictures, checkpoints) in a helper process without rights: on Linux, with
 * libseccomp. The helper is a fork of the calling thread; it is waited for, and no signal of the process is
 * used. */
bool rst_sandbox_available(void);

static inline void rst_image_read_options_init(rst_image_read_options *options) {
  memset(options, 0, sizeof *options);
  options->struct_size = sizeof *options;
}

/* Reads a picture file whose format is told by its content: PNG, JPEG, BMP, TGA, PNM (P1..P6, 8 and 16 bits),
 * PFM, and TIFF, WebP, HEIC and AVIF where the library was built with them. 16-bit files give RST_SAMPLE_U16,
 * PFM RST_SAMPLE_F32, all others RST_SAMPLE_U8. An orientation in EXIF is applied to the pixels, and is 1
 * afterwards. Files that are damaged or cut off are refused, and pictures with a side of more than 2^24.
 * RST_ERROR_INPUT, RST_ERROR_MEMORY or RST_CANCELLED. */
rst_status rst_image_read(const char *path, const rst_image_read_options *options, rst_image **image,
                          rst_error *err);
/* The same from memory; `name` stands for the file in messages. */
rst_status rst_image_decode(const char *name, const void *data, size_t size,
                            const rst_image_read_options *options, rst_image **image, rst_error *err);

typedef struct rst_image_write_options {
  size_t struct_size; /* set by rst_image_write_options_init */
  const char *format; /* rst_image_format.name; NULL: by the path's ending */
  int depth;   /* bits of a sample, 8, 16 or (float) 32; 0: 8 for such images, else 16 where the format can */
  int quality; /* of JPEG and WebP, 1 to 100 (a WebP without loss); 0: 95 */
  bool strip;  /* no metadata are written */
  uint8_t background[3]; /* RGB, under what is transparent, where the format has no alpha; default: white */
  void (*warning)(void *user, const char *message); /* as above */
  bool (*cancelled)(void *user);
  void *user;
} rst_image_write_options;

static inline void rst_image_write_options_init(rst_image_write_options *options) {
  memset(options, 0, sizeof *options);
  memset(options->background, 255, sizeof options->background);
  options->struct_size = sizeof *options;
}

/* The format that a path and options (NULL: defaults) ask for, which this build can write. RST_ERROR_USAGE
 * when there is none, or the options do not fit it. */
rst_status rst_image_output_format(const char *path, const rst_image_write_options *options,
                                   const rst_image_format **format, rst_error *err);
/* The sample type to compute in for such a file, from an input of type `input`: as exact as it can hold. */
rst_sample rst_image_output_sample(const rst_image_format *format, const rst_image_write_options *options,
                                   rst_sample input);
/* Whether a picture of that size can be written to `path`: to be asked before it is computed.
 * RST_ERROR_OUTPUT when not, RST_ERROR_USAGE as above. */
rst_status rst_image_check_output(const char *path, const rst_image_write_options *options, size_t width,
                                  size_t height, int channels, rst_error *err);

/* Finds out whether `path` could be written, as far as that is possible without doing it: before a long run,
 * that is. "-" is standard output. Leaves nothing behind. RST_ERROR_OUTPUT or RST_ERROR_MEMORY. */
rst_status rst_output_check(const char *path, rst_error *err);

/* Writes. Samples are clamped, scaled and rounded to what the file holds; PFM holds F32 and the others scaled
 * to 0..1. Without alpha in the format, the picture is put on the background. The file appears whole or not
 * at all: it is written beside `path` and renamed. RST_ERROR_OUTPUT, RST_ERROR_USAGE, RST_ERROR_MEMORY or
 * RST_CANCELLED. */
rst_status rst_image_write(const char *path, const rst_image *image, const rst_image_write_options *given,
                           rst_error *err);
/* The same into memory, to be freed with rst_free; given->format is needed. */
rst_status rst_image_encode(const rst_image *image, const rst_image_write_options *given, void **data,
                            size_t *size, rst_error *err);
void rst_free(void *memory); /* what the library has handed out as bytes; NULL is allowed */

typedef struct rst_difference {
  double max_difference; /* largest |a - b|, in units of the larger sample type's step (F32: of 1.0) */
  double psnr;           /* dB over all colour samples, peak 1.0; +infinity for equal pictures */
  double ssim; /* mean SSIM (Wang et al. 2004: 11x11 Gaussian window, sigma 1.5), mean of channels */
} rst_difference;

/* Compares the two pictures' samples, alpha included in max_difference only. Sizes and channels must be
 * equal, else RST_ERROR_INPUT. SSIM is NAN where a side is shorter than the window. */
rst_status rst_image_compare(const rst_image *a, const rst_image *b, rst_difference *difference,
                             rst_error *err);

/* ---- Memory -------------------------------------------------------------------------------- */

/* The memory that everything that is given the budget may take together; runs choose tiles to keep it. It has
 * to live longer than what is made with it. May be used by several threads at once. */
typedef struct rst_budget rst_budget;

/* `limit` in bytes. 0: what the process can take now without the system running short, as far as the system
 * tells: available memory, control groups and RLIMIT_AS count. RST_ERROR_MEMORY. */
rst_status rst_budget_create(uint64_t limit, rst_budget **budget, rst_error *err);
void rst_budget_free(rst_budget *budget); /* NULL is allowed */
uint64_t rst_budget_limit(const rst_budget *budget);
uint64_t rst_budget_used(const rst_budget *budget);

/* Counts `bytes` that the caller takes for itself; false, with nothing counted, when they do not fit. NULL is
 * a budget without a limit. What was taken is given back once. */
bool rst_budget_take(rst_budget *budget, uint64_t bytes);
void rst_budget_give(rst_budget *budget, uint64_t bytes);

/* Counts the image's samples from now until it is freed; once for each image. RST_ERROR_MEMORY when they do
 * not fit. NULL: they count nowhere any more. */
rst_status rst_image_count(rst_image *image, rst_budget *budget, rst_error *err);

/* ---- Weights ------------------------------------------------------------------------------- */

/* A prompt of PromptIR (Potlapalli et al., NeurIPS 2023): `length` learnt components of `dim` channels and
 * `size` x `size` pixels, mixed as the mean of a level's map says, and resized to it. It stands where the
 * level is done, before it is upsampled: the map and the prompt side by side go through one block, and then
 * to out_channels. */
typedef struct rst_prompt {
  int length; /* 0: no prompt */
  int dim, size;
  int heads, ffn_hidden; /* of the block */
  int out_channels;
} rst_prompt;

/* The hyper-parameters, as the library tells them; members may follow in later versions, so programs do not
 * make any of their own. Level l (from 0) has dim * 2^l channels at 1/2^l of the resolution; decoder
 * level 0 and the refinement run at 2 * dim (at dim when levels == 1). */
typedef struct rst_architecture {
  int in_channels, out_channels;
  int dim;
  int levels;                     /* 1..RST_MAX_LEVELS; the last one is `latent` */
  int num_blocks[RST_MAX_LEVELS]; /* encoder and decoder of a level have the same number */
  int num_refinement_blocks;
  int heads[RST_MAX_LEVELS];          /* decoder level 0 and refinement: heads[0] */
  int ffn_hidden[RST_MAX_LEVELS];     /* hidden width of the GDFN at width dim * 2^l */
  bool attention[RST_MAX_LEVELS];     /* false: blocks of this level are x + ffn(norm2(x)) only;
                                         decoder level 0 and refinement: attention[0] */
  bool bias;                          /* convolutions have biases */
  bool norm_bias;                     /* layer norm WithBias (true) or BiasFree */
  bool dual_pixel;                    /* skip_conv of the patch embedding before the output */
  bool residual;                      /* the input picture is added to the output */
  rst_prompt prompts[RST_MAX_LEVELS]; /* of the levels below level 0, which has none */
} rst_architecture;

typedef struct rst_weights rst_weights; /* an open manifest and its files */

typedef struct rst_weights_info {
  size_t struct_size;
  const char *name, *task, *license, *source; /* "" when the manifest has none */
  const rst_architecture *architecture;
  uint64_t parameters; /* number of weights */
  uint64_t bytes;      /* their size on disk */
  const char *dtype;   /* "F32", "F16", "BF16" or "mixed" */
  const char *sha256;  /* of the manifest, which has the hashes of its files: 64 hexadecimal digits that stand
                          for  the model */
} rst_weights_info;

static inline void rst_weights_info_init(rst_weights_info *info) {
  memset(info, 0, sizeof *info);
  info->struct_size = sizeof *info;
}

/* Opens a manifest (weights/README.md has the format), opens its files and checks everything but the
 * hashes and the finiteness of the values. RST_ERROR_WEIGHTS or RST_ERROR_MEMORY. */
rst_status rst_weights_open(const char *manifest_path, rst_weights **weights, rst_error *err);
void rst_weights_close(rst_weights *weights); /* NULL is allowed */

/* Fills `info`, which has been initialised; what it points to lives as long as `weights`. */
void rst_weights_get_info(const rst_weights *weights, rst_weights_info *info);

/* Checks the SHA-256 of every file and that every value is finite. */
rst_status rst_weights_verify(const rst_weights *weights, rst_error *err);

/* Multiply-accumulates of one run on a width x height picture (padded as the network pads it):
 * the convolutions alone, as the papers count (141 GMAC for the published models at 256 x 256). 0 when there
 * is no such architecture. */
uint64_t rst_architecture_macs(const rst_architecture *architecture, size_t width, size_t height);

/* A run of equal blocks. */
typedef struct rst_stage_info {
  size_t struct_size;
  char name[24];  /* as its tensors are called: "encoder_level1", "latent" */
  char block[40]; /* what a block consists of: "MDTA, GDFN" */
  int level;      /* from 0: it runs at 1/2^level of the resolution */
  int width;      /* channels */
  int blocks;
  int heads; /* of attention; 0 in blocks without it */
  int ffn_hidden;
} rst_stage_info;

static inline void rst_stage_info_init(rst_stage_info *info) {
  memset(info, 0, sizeof *info);
  info->struct_size = sizeof *info;
}

/* The stage of that index, in the order in which they run; false past the last one, or when there is no such
 * architecture. A stage without blocks is none. */
bool rst_architecture_stage(const rst_architecture *architecture, size_t index, rst_stage_info *info);

/* Writes the architecture as a manifest has it under `model`, a JSON object on several lines, into a text of
 * `size` bytes, RST_ARCHITECTURE_JSON being enough for any that rst_weights_open accepts. */
#define RST_ARCHITECTURE_JSON 2048
void rst_architecture_json(const rst_architecture *architecture, char *text, size_t size);

typedef struct rst_convert_options {
  size_t struct_size;
  const char *dtype; /* "f32", "f16", "bf16"; NULL: as in the checkpoint (mixed: f32) */
  const char *name;  /* free texts of the manifest; NULL: derived or left out */
  const char *task;
  const char *license;
  const char *source;
  void (*notice)(void *user, const char *message); /* one line for each choice that was made: which of several
                                                      networks, what was left out; may be NULL */
  bool (*cancelled)(void *user);                   /* asked every now and then, true to stop; may be NULL */
  void *user;                                      /* passed to both */
  bool no_residual; /* the network gives the restored picture itself. Tensors do not tell: else a network has
                       the residual connection unless it is a dual-pixel one or gives other channels */
  bool sandbox;     /* take the checkpoint apart in a helper process, as pictures (rst_image_read_options) */
} rst_convert_options;

static inline void rst_convert_options_init(rst_convert_options *options) {
  memset(options, 0, sizeof *options);
  options->struct_size = sizeof *options;
}

/* Reads a PyTorch checkpoint (zip or legacy form) or a safetensors file, finds the network in it, under
 * whatever names it is wrapped in (averaged weights, EMA, are preferred where there are some), and writes a
 * manifest to `manifest_path` (which must end in .json) and its tensors beside it: NAME.safetensors or, where
 * there is a file of that name with other contents, NAME-HASH.safetensors. The manifest is written last and
 * in one step, and no other file is overwritten, so that the model under that name is the old or the new one
 * whenever the conversion ends. Loading can not run code. `options` may be NULL. RST_ERROR_WEIGHTS,
 * RST_ERROR_OUTPUT, RST_ERROR_USAGE, RST_ERROR_MEMORY or RST_CANCELLED. */
rst_status rst_weights_convert(const char *checkpoint_path, const char *manifest_path,
                               const rst_convert_options *options, rst_error *err);

/* ---- Running ------------------------------------------------------------------------------- */

typedef enum rst_isa {
  RST_ISA_AUTO, /* the best that the processor has */
  RST_ISA_BASELINE,
  RST_ISA_AVX2,       /* with FMA */
  RST_ISA_AVXVNNI,    /* AVX2 with int8 dot products */
  RST_ISA_AVX512,     /* F, BW, DQ, VL */
  RST_ISA_AVX512VNNI, /* with int8 dot products */
  RST_ISA_AVX512BF16, /* with bf16 dot products, too */
  RST_ISA_AMX,        /* with tiles of both, which Linux is asked for: the whole process may use them then */
  RST_ISA_NEON,
  RST_ISA_NEONDOT, /* with int8 dot products */
  RST_ISA_COUNT
} rst_isa;

/* The name as the command line has it ("auto", "baseline", "avx2", ...). */
const char *rst_isa_name(rst_isa isa);
/* True when this build has kernels for `isa` and the processor can run them. */
bool rst_isa_available(rst_isa isa);
/* What RST_ISA_AUTO stands for on this processor. */
rst_isa rst_isa_best(void);

typedef enum rst_precision {
  RST_PRECISION_F32,  /* exact */
  RST_PRECISION_BF16, /* bf16 operands, float32 sums */
  RST_PRECISION_INT8, /* int8 operands and int32 sums in the blocks' 1x1 products, and between levels where
                         bf16 has no dot products; features in bf16 */
  RST_PRECISION_COUNT
} rst_precision;

/* The name as the command line has it: "float32", "bf16", "int8". */
const char *rst_precision_name(rst_precision precision);

typedef struct rst_model rst_model; /* weights packed for one instruction set and precision */

typedef struct rst_model_options {
  size_t struct_size;
  rst_isa isa;
  rst_precision precision;
  int threads;        /* for packing; 0: as many as the process may use */
  rst_budget *budget; /* that the packed weights count in; may be NULL */
} rst_model_options;

static inline void rst_model_options_init(rst_model_options *options) {
  memset(options, 0, sizeof *options);
  options->struct_size = sizeof *options;
}

/* Packs the weights. `options` may be NULL. The weights may be closed afterwards. The same
 * model may be used by several threads at once. RST_ERROR_WEIGHTS (a value is not finite),
 * RST_ERROR_USAGE (instruction set not available) or RST_ERROR_MEMORY. */
rst_status rst_model_create(const rst_weights *weights, const rst_model_options *options, rst_model **model,
                            rst_error *err);
void rst_model_free(rst_model *model); /* NULL is allowed */
const rst_architecture *rst_model_architecture(const rst_model *model);

/* `fraction` grows from 0 to 1; return true to go on, false to cancel. Called from one thread at a time. */
typedef bool (*rst_progress)(void *user, double fraction);

/* Tells how long a stage of the network took ("encoder_level1", "down1_2", "latent", ...), in order. */
typedef void (*rst_stage_done)(void *user, const char *stage, double seconds);

typedef enum rst_blend {
  RST_BLEND_RAMP,   /* weights rise linearly over the middle third of the overlap: no visible seam, and what
                       lies within a third of it from a tile's border counts for nothing */
  RST_BLEND_UNIFORM /* plain mean of the tiles over a pixel, as the authors' demo does */
} rst_blend;

/* What a run will take. */
typedef struct rst_plan {
  size_t struct_size;    /* set by rst_plan_init */
  uint64_t weight_bytes; /* packed weights */
  uint64_t
      working_bytes;    /* maps and buffers at their peak; in tiled runs, float pictures of the result, too */
  uint64_t bytes;       /* both; int8: or what the model's making takes, where that is more */
  size_t tile, overlap; /* tile == 0: the whole picture at once */
  size_t tiles;         /* number of them, 1 for the whole picture */
} rst_plan;

static inline void rst_plan_init(rst_plan *plan) {
  memset(plan, 0, sizeof *plan);
  plan->struct_size = sizeof *plan;
}

/* Tells what the run that is about to begin takes. */
typedef void (*rst_planned)(void *user, const rst_plan *plan);

typedef struct rst_session_options {
  size_t struct_size; /* set by rst_session_options_init */
  int threads; /* 0: as many as the process may use; the result does not depend on it (with a budget, up to
                  16: more of them need more memory, which may make it choose smaller tiles). Where the system
                  does not give as many, a run does with fewer. */

  /* Test-time local statistics (TLC, arXiv 2112.04491): attention's q k^T over overlapping windows of this
   * many pixels instead of the whole picture. 0: off. Else at least 2^(levels - 1). */
  size_t window;

  /* What the session takes counts in the budget. A picture for which it leaves too little, with 16 threads,
   * is run in tiles as large as fit. NULL: no limit. */
  rst_budget *budget;

  /* Side of tiles in pixels, a multiple of 2^(levels - 1). 0: the whole picture at once, or what the
   * budget asks for. Attention is global, so tiles change the result. */
  size_t tile;
  size_t
      overlap; /* of neighbouring tiles, pixels, at most tile - 2^(levels - 1); with tile == 0 it is chosen */
  rst_blend blend;

  rst_progress progress; /* called from the thread that runs, at least every fifth of a second; may be NULL */
  void *user;            /* passed to progress */
  rst_stage_done stage_done; /* may be NULL; of every tile in tiled runs */
  void *stage_user;          /* passed to stage_done */
  rst_planned planned;       /* of rst_session_restore and rst_restore_image; may be NULL */
  void *planned_user;        /* passed to planned */
} rst_session_options;

static inline void rst_session_options_init(rst_session_options *options) {
  memset(options, 0, sizeof *options);
  options->struct_size = sizeof *options;
}

/* Plans the run of such a model, which is still to be made, on a width x height picture without doing
 * anything. Either options may be NULL. RST_ERROR_WEIGHTS (there is no such architecture), RST_ERROR_USAGE
 * (size or options do not fit), RST_ERROR_MEMORY (the tiles asked for, or even the smallest ones, do not fit
 * into the budget). */
rst_status rst_plan_restore(const rst_architecture *architecture, const rst_model_options *model_options,
                            size_t width, size_t height, const rst_session_options *options, rst_plan *plan,
                            rst_error *err);

/* Pixels anywhere in memory: sample c of pixel (x, y) is at
 * samples[y * row_stride + x * column_stride + c * channel_stride] (strides in samples), so that planar
 * and interleaved pictures are the same thing. */
typedef struct rst_pixels {
  void *samples;
  rst_sample sample;
  size_t width, height;
  int channels;
  ptrdiff_t row_stride, column_stride, channel_stride;
} rst_pixels;

/* Runs of one model over pictures of one size: planned once, in memory that the session keeps, by threads
 * that it keeps. For one thread at a time. A child after fork may go on with a session that was not running,
 * and gets threads of its own. */
typedef struct rst_session rst_session;

/* 0 x 0: the size comes with rst_session_resize or rst_session_restore. `options` may be NULL; what they and
 * `model` point to has to live as long as the session. RST_ERROR_USAGE or RST_ERROR_MEMORY as for
 * rst_plan_restore. */
rst_status rst_session_create(const rst_model *model, size_t width, size_t height,
                              const rst_session_options *options, rst_session **session, rst_error *err);
void rst_session_free(rst_session *session); /* NULL is allowed */

/* Plans for pictures of another size; does nothing when it is the same. After a failure there is no size. */
rst_status rst_session_resize(rst_session *session, size_t width, size_t height, rst_error *err);

/* Fills `plan`, which has been initialised; zeros without a size. */
void rst_session_plan(const rst_session *session, rst_plan *plan);

/* Runs the network over a picture of the session's size. `input` has the model's in_channels (a dual-pixel
 * model: left RGB, right RGB), `output` its out_channels and the same size. F32 output is neither clamped nor
 * rounded, integers are both. The output may be the very samples of the input (same address, strides and
 * type) but must not share only some with it. RST_ERROR_USAGE (shapes do not fit), RST_ERROR_NUMBERS (the
 * result has samples that are not finite) or RST_CANCELLED; the output's samples are unspecified then. */
rst_status rst_session_run(rst_session *session, const rst_pixels *input, const rst_pixels *output,
                           rst_error *err);

/* The same in a session of its own. RST_ERROR_MEMORY, too. */
rst_status rst_restore(const rst_model *model, const rst_pixels *input, const rst_pixels *output,
                       const rst_session_options *options, rst_error *err);

/* Restores a picture as a user expects: a grey picture on an RGB model runs as three equal channels and
 * comes back grey; a colour picture on a grey model runs channel by channel; alpha is carried over
 * untouched, and colours that it hides altogether do not count. `right` is the second view of a dual-pixel
 * model, else NULL. `output` is created, has size, channels and metadata of `input` (but grey or RGB, when
 * the model makes one of the other), and the sample type given; it counts in the session's budget. The
 * session is resized when it has another size. Besides what rst_session_resize and rst_session_run return,
 * RST_ERROR_INPUT for a picture with samples that are not finite, and RST_ERROR_USAGE for a model of other
 * channels than pictures have. */
rst_status rst_session_restore(rst_session *session, const rst_image *input, const rst_image *right,
                               rst_sample output_sample, rst_image **output, rst_error *err);

/* The same in a session of its own. */
rst_status rst_restore_image(const rst_model *model, const rst_image *input, const rst_image *right,
                             rst_sample output_sample, rst_image **output, const rst_session_options *options,
                             rst_error *err);

/* Channels of the picture that rst_session_restore makes of one with that many. */
int rst_restore_image_channels(const rst_architecture *architecture, int channels);

/* Bytes that rst_session_restore holds beside the plan and the pictures, for each pixel of a picture with
 * that many channels: two views as one input, or three results that become one grey. */
size_t rst_restore_image_held(const rst_architecture *architecture, int channels);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
