/* The items of a HEIF file (ISO/IEC 14496-12 and 23008-12), and what they ask a decoder for. Boxes that the
 * check has no use for are passed over. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/heif.h"

enum {
  HEADER = 8, /* bytes of a box: its size and type */
  MOST_ITEMS = 1 << 14,
  MOST_REFERENCES = 1 << 12, /* between items, and in references to what a picture belongs to */
  MOST_EXTENTS = 1 << 15,    /* pieces that the bytes of all items come in */
  MOST_DEPTH = 8,            /* of pictures made of pictures */
  LEAST_PIXELS = 1 << 12,    /* that a picture counts as */
  TIMES = 16, /* as many pixels as the picture has may be decoded for it: alpha, what tiles have too much,
                 sizes that an AV1 stream leaves open; */
  FREE_PIXELS = 1 << 22, /* and these */
  MOST_SHARING = 16      /* items may have as many bytes as the file, so many times */
};

/* Bytes that are read from the front. What is not there reads as 0, and is noted. */
typedef struct span {
  const uint8_t *at;
  size_t size;
  bool ended;
} span;

typedef struct item {
  uint32_t id, type;
  uint64_t pixels; /* its largest, as its properties and its stream tell; then those of all that it takes */
  uint64_t width, height;
  span parts; /* identifiers of the items that it is made of, of `id_bytes` each */
  enum { NEW, OPEN, DONE } state;
  int below; /* pictures made of pictures that it is made of, one in the other */
} item;

typedef struct property {
  uint32_t type;
  uint64_t pixels; /* that a decoder's configuration announces */
  uint32_t width, height;
} property;

typedef struct file {
  const rst_source *source;
  span meta, data; /* data: idat, which items may be in */
  item *items;     /* by their identifiers */
  property *properties;
  size_t count, property_count;
  span references;
  size_t id_bytes;          /* of identifiers in them */
  uint64_t shared, extents; /* bytes of items so far, and pieces that they come in */
} file;

#define TYPE(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* ---- Boxes ----------------------------------------------------------------------------------- */

static uint64_t take(span *s, size_t bytes) {
  uint64_t value = 0;
  if (bytes > s->size) {
    s->ended = true;
    s->size = 0;
    return 0;
  }
  for (; bytes > 0; bytes--, s->size--) value = value << 8 | *s->at++;
  return value;
}

static span take_span(span *s, size_t bytes) {
  span part = {.at = s->at, .size = bytes};
  if (bytes > s->size) {
    s->ended = true;
    part.size = s->size;
  }
  if (part.size == 0) return (span){0};
  s->at += part.size;
  s->size -= part.size;
  return part;
}

/* The next box, without its header; false: there is none, or (span.ended) it is longer than what it is in. */
static bool next_box(span *in, uint32_t *type, span *box) {
  if (in->size < HEADER) {
    in->ended = in->ended || in->size > 0;
    return false;
  }
  uint64_t size = take(in, 4), header = HEADER;
  *type = (uint32_t)take(in, 4);
  if (size == 1) size = take(in, 8), header += 8;
  if (size == 0) size = header + in->size;
  if (in->ended || size < header || size - header > in->size) {
    in->ended = true;
    return false;
  }
  *box = take_span(in, (size_t)(size - header));
  return true;
}

static rst_status damaged(const file *f, const char *what) {
  return rst_source_fail(f->source, "HEIF: damaged: %s", what);
}

/* The only box of that type in `in`, empty where there is none; `full`: behind its version, which is in
 * *version. */
static rst_status find(const file *f, span in, uint32_t type, bool full, uint64_t *version, span *found) {
  span box;
  uint32_t other;
  bool seen = false;
  *found = (span){0};
  while (next_box(&in, &other, &box)) {
    if (other != type) continue;
    if (seen) return damaged(f, "a box that there can be one of is there twice");
    *found = box;
    seen = true;
  }
  if (in.ended) return damaged(f, "a box is longer than what it is in");
  if (!full || !seen) return RST_OK;
  *version = take(found, 1);
  take(found, 3);
  return found->ended ? damaged(f, "a box is too short") : RST_OK;
}

/* The box of meta data. What stands around it may be cut off, which is for libheif to tell. */
static rst_status find_meta(file *f) {
  span all = {.at = f->source->data, .size = f->source->size}, box;
  uint32_t type;
  while (next_box(&all, &type, &box)) {
    if (type != TYPE('m', 'e', 't', 'a')) continue;
    if (f->meta.size > 0) return damaged(f, "a box that there can be one of is there twice");
    take(&box, 4);
    f->meta = box;
  }
  return RST_OK;
}

/* ---- Items ----------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b) {
  const item *x = a, *y = b;
  return x->id < y->id ? -1 : x->id > y->id;
}

static item *item_of(const file *f, uint64_t id) {
  const item key = {.id = (uint32_t)id};
  return f->count == 0 ? NULL : bsearch(&key, f->items, f->count, sizeof key, by_id);
}

static rst_status read_items(file *f) {
  span list, box;
  uint64_t version = 0;
  uint32_t type;
  rst_status status = find(f, f->meta, TYPE('i', 'i', 'n', 'f'), true, &version, &list);
  if (status != RST_OK) return status;
  const uint64_t most = take(&list, version == 0 ? 2 : 4);
  if (most > MOST_ITEMS)
    return rst_source_fail(f->source, "HEIF: %llu items, expected at most %d", (unsigned long long)most,
                           MOST_ITEMS);
  const size_t room = rst_min((size_t)most, list.size / HEADER); /* boxes that there can be */
  f->items = rst_alloc_zeroed(room, sizeof *f->items);
  if (f->items == NULL) return rst_fail_memory(f->source->err, f->source->path);
  while (f->count < room && next_box(&list, &type, &box)) {
    const uint64_t entry = take(&box, 1);
    take(&box, 3);
    if (entry < 2) continue; /* without a type */
    item *i = &f->items[f->count++];
    i->id = (uint32_t)take(&box, entry == 2 ? 2 : 4);
    take(&box, 2);
    i->type = (uint32_t)take(&box, 4);
  }
  qsort(f->items, f->count, sizeof *f->items, by_id);
  for (size_t i = 1; i < f->count; i++)
    if (f->items[i - 1].id == f->items[i].id) return damaged(f, "two items have one identifier");
  return RST_OK;
}

static bool is_coded(const item *i) {
  return i->type == TYPE('h', 'v', 'c', '1') || i->type == TYPE('a', 'v', '0', '1');
}

/* Or made of others. */
static bool is_picture(const item *i) {
  return is_coded(i) || i->type == TYPE('g', 'r', 'i', 'd') || i->type == TYPE('i', 'o', 'v', 'l') ||
         i->type == TYPE('i', 'd', 'e', 'n');
}

static void note_pixels(item *i, uint64_t pixels) {
  if (pixels > i->pixels) i->pixels = pixels;
}

/* ---- Properties ------------------------------------------------------------------------------ */

/* Arrays of units, of one kind each. */
static uint64_t hevc_configuration_pixels(span box) {
  enum { BEFORE = 22 };
  uint64_t most = 0;
  take_span(&box, BEFORE);
  for (uint64_t arrays = take(&box, 1); arrays > 0 && !box.ended; arrays--) {
    take(&box, 1);
    for (uint64_t units = take(&box, 2); units > 0 && !box.ended; units--) {
      const span unit = take_span(&box, (size_t)take(&box, 2));
      const uint64_t pixels = rst_hevc_unit_pixels(unit.at, unit.size);
      if (pixels > most) most = pixels;
    }
  }
  return most;
}

static property property_of(uint32_t type, span box) {
  enum { AV1_BEFORE = 4 };
  property p = {.type = type};
  if (type == TYPE('h', 'v', 'c', 'C')) {
    p.pixels = hevc_configuration_pixels(box);
  } else if (type == TYPE('a', 'v', '1', 'C')) {
    take(&box, AV1_BEFORE);
    p.pixels = rst_av1_pixels(box.at, box.size);
  } else if (type == TYPE('i', 's', 'p', 'e')) {
    take(&box, 4);
    p.width = (uint32_t)take(&box, 4);
    p.height = (uint32_t)take(&box, 4);
  }
  return p;
}

static rst_status read_properties(file *f, span container) {
  span list, box;
  uint32_t type;
  size_t count = 0;
  rst_status status = find(f, container, TYPE('i', 'p', 'c', 'o'), false, NULL, &list);
  if (status != RST_OK) return status;
  for (span all = list; next_box(&all, &type, &box);) count++;
  f->properties = rst_alloc_zeroed(count, sizeof *f->properties);
  if (f->properties == NULL) return rst_fail_memory(f->source->err, f->source->path);
  while (f->property_count < count && next_box(&list, &type, &box))
    f->properties[f->property_count++] = property_of(type, box);
  return RST_OK;
}

/* Which item has which. */
static void associate(const file *f, span list, bool wide_ids, bool wide_places) {
  for (uint64_t entries = take(&list, 4); entries > 0 && !list.ended; entries--) {
    item *i = item_of(f, take(&list, wide_ids ? 4 : 2));
    for (uint64_t n = take(&list, 1); n > 0 && !list.ended; n--) {
      const uint64_t place = take(&list, wide_places ? 2 : 1) & (wide_places ? 0x7fff : 0x7f);
      if (i == NULL || place == 0 || place > f->property_count) continue;
      const property *p = &f->properties[place - 1];
      note_pixels(i, p->pixels);
      if (p->type == TYPE('i', 's', 'p', 'e')) i->width = p->width, i->height = p->height;
    }
  }
}

static rst_status read_all_properties(file *f) {
  span container, box;
  uint32_t type;
  rst_status status = find(f, f->meta, TYPE('i', 'p', 'r', 'p'), false, NULL, &container);
  if (status == RST_OK) status = read_properties(f, container);
  while (status == RST_OK && next_box(&container, &type, &box)) {
    if (type != TYPE('i', 'p', 'm', 'a')) continue;
    const uint64_t version = take(&box, 1), flags = take(&box, 3);
    associate(f, box, version > 0, (flags & 1) != 0);
  }
  return status;
}

/* ---- Streams --------------------------------------------------------------------------------- */

static void note_stream(item *i, const uint8_t *data, size_t size) {
  note_pixels(i,
              i->type == TYPE('h', 'v', 'c', '1') ? rst_hevc_pixels(data, size) : rst_av1_pixels(data, size));
}

/* How iloc writes its numbers. */
typedef struct number_form {
  uint64_t version;
  size_t offset, length, base, index; /* bytes */
} number_form;

/* The next piece of an item's bytes, cut off where the file is. */
static span take_extent(const file *f, span *list, const number_form *form, uint64_t method, uint64_t base) {
  take(list, form->index);
  uint64_t offset = take(list, form->offset), length = take(list, form->length);
  const span in = method == 1 ? f->data : (span){.at = f->source->data, .size = f->source->size};
  if (__builtin_add_overflow(offset, base, &offset) || offset >= in.size || list->ended) return (span){0};
  if (length == 0 || length > in.size - offset) length = in.size - offset;
  return (span){.at = in.at + offset, .size = (size_t)length};
}

/* Puts the pieces together where there are several. */
static rst_status read_stream(file *f, item *i, span *list, const number_form *form, uint64_t method,
                              uint64_t base, uint64_t extents) {
  if (i == NULL || !is_coded(i)) {
    take_span(list, (size_t)extents * (form->index + form->offset + form->length));
    return RST_OK;
  }
  f->extents += extents;
  if (f->extents > MOST_EXTENTS) return damaged(f, "its items are in too many pieces");
  span copy = *list;
  size_t size = 0;
  for (uint64_t n = 0; n < extents && !copy.ended; n++)
    if (!rst_add(size, take_extent(f, &copy, form, method, base).size, &size)) size = SIZE_MAX;
  if (__builtin_add_overflow(f->shared, size, &f->shared) || f->shared / MOST_SHARING > f->source->size)
    return damaged(f, "its items have more bytes than the file");
  uint8_t *data = extents > 1 ? rst_alloc(size, 1) : NULL;
  if (extents > 1 && data == NULL) return rst_fail_memory(f->source->err, f->source->path);
  size_t at = 0;
  for (uint64_t n = 0; n < extents && !list->ended; n++) {
    const span part = take_extent(f, list, form, method, base);
    if (extents == 1) note_stream(i, part.at, part.size);
    if (data != NULL && part.size > 0) memcpy(data + at, part.at, part.size);
    at += part.size;
  }
  if (data != NULL) note_stream(i, data, size);
  rst_free(data);
  return RST_OK;
}

static rst_status read_streams(file *f) {
  span list;
  number_form form = {0};
  rst_status status = find(f, f->meta, TYPE('i', 'd', 'a', 't'), false, NULL, &f->data);
  if (status == RST_OK) status = find(f, f->meta, TYPE('i', 'l', 'o', 'c'), true, &form.version, &list);
  if (status != RST_OK) return status;
  const uint64_t sizes = take(&list, 2);
  form.offset = (size_t)(sizes >> 12 & 15), form.length = (size_t)(sizes >> 8 & 15);
  form.base = (size_t)(sizes >> 4 & 15);
  form.index = form.version > 0 ? (size_t)(sizes & 15) : 0;
  if (form.offset > 8 || form.length > 8 || form.base > 8 || form.index > 8)
    return damaged(f, "numbers of more than 8 bytes");
  for (uint64_t n = take(&list, form.version < 2 ? 2 : 4); n > 0 && !list.ended && status == RST_OK; n--) {
    item *i = item_of(f, take(&list, form.version < 2 ? 2 : 4));
    const uint64_t method = form.version > 0 ? take(&list, 2) & 15 : 0;
    take(&list, 2);
    const uint64_t base = take(&list, form.base), extents = take(&list, 2);
    status = read_stream(f, i, &list, &form, method, base, extents);
  }
  return status;
}

/* ---- References ------------------------------------------------------------------------------ */

/* The next reference: of which kind, from which item, and to which. */
static bool next_reference(const file *f, span *list, uint32_t *type, uint64_t *from, span *to) {
  span box;
  if (!next_box(list, type, &box)) return false;
  *from = take(&box, f->id_bytes);
  const uint64_t count = take(&box, 2);
  *to = take_span(&box, (size_t)count * f->id_bytes);
  /* libheif goes by the count and not by the size of the box. */
  if (!box.ended && box.size == 0) return true;
  list->ended = true;
  return false;
}

static rst_status read_references(file *f) {
  span to;
  uint64_t version = 0, from;
  uint32_t type;
  size_t count = 0;
  rst_status status = find(f, f->meta, TYPE('i', 'r', 'e', 'f'), true, &version, &f->references);
  if (status != RST_OK) return status;
  f->id_bytes = version == 0 ? 2 : 4;
  span list = f->references;
  while (next_reference(f, &list, &type, &from, &to)) {
    item *i = item_of(f, from);
    count += type == TYPE('a', 'u', 'x', 'l') ? 1 + to.size / f->id_bytes : 1;
    if (count > MOST_REFERENCES) return damaged(f, "too many references");
    if (type != TYPE('d', 'i', 'm', 'g') || i == NULL) continue;
    if (i->parts.size > 0) return damaged(f, "an item is made of parts twice");
    i->parts = to;
  }
  return list.ended ? damaged(f, "a reference has another size than its box") : RST_OK;
}

/* ---- What is decoded ------------------------------------------------------------------------- */

#define TOO_DEEP "a picture that is made of pictures that are made of pictures, and so on"

static rst_status add_up(const file *f, item *i, int depth);

static rst_status add_part(const file *f, item *whole, item *part, int depth) {
  if (part == NULL) return RST_OK;
  rst_status status = add_up(f, part, depth + 1);
  if (status != RST_OK) return status;
  if (__builtin_add_overflow(whole->pixels, part->pixels, &whole->pixels)) whole->pixels = UINT64_MAX;
  if (whole->below <= part->below) whole->below = part->below + 1;
  return RST_OK;
}

/* Alpha, which is decoded with a picture, and whatever else belongs to it. */
static rst_status add_auxiliaries(const file *f, item *i, int depth) {
  span list = f->references, to;
  uint64_t from;
  uint32_t type;
  rst_status status = RST_OK;
  while (status == RST_OK && next_reference(f, &list, &type, &from, &to)) {
    if (type != TYPE('a', 'u', 'x', 'l')) continue;
    bool belongs = false;
    while (to.size > 0) belongs = take(&to, f->id_bytes) == i->id || belongs;
    item *part = belongs ? item_of(f, from) : NULL;
    if (part != NULL && is_picture(part)) status = add_part(f, i, part, depth);
  }
  return status;
}

/* The pixels of all that decoding the item takes. */
static rst_status add_up(const file *f, item *i, int depth) {
  if (i->state == DONE) return RST_OK;
  if (i->state == OPEN) return damaged(f, "a picture that is made of itself");
  if (depth > MOST_DEPTH) return damaged(f, TOO_DEEP);
  if (!is_picture(i)) return damaged(f, "a picture of another kind than HEVC and AV1");
  i->state = OPEN;
  note_pixels(i, LEAST_PIXELS);
  rst_status status = RST_OK;
  for (span parts = i->parts; status == RST_OK && parts.size > 0;)
    status = add_part(f, i, item_of(f, take(&parts, f->id_bytes)), depth);
  if (status == RST_OK) status = add_auxiliaries(f, i, depth);
  i->state = DONE;
  return status == RST_OK && i->below > MOST_DEPTH ? damaged(f, TOO_DEEP) : status;
}

static rst_status check_primary(file *f) {
  span box;
  uint64_t version = 0, most = 0;
  rst_status status = find(f, f->meta, TYPE('p', 'i', 't', 'm'), true, &version, &box);
  item *primary = status == RST_OK ? item_of(f, take(&box, version == 0 ? 2 : 4)) : NULL;
  if (primary == NULL) return status;
  status = add_up(f, primary, 0);
  if (status != RST_OK) return status;
  if (__builtin_mul_overflow(primary->width * TIMES, primary->height, &most)) most = UINT64_MAX / 2;
  most += FREE_PIXELS;
  if (primary->pixels <= most) return RST_OK;
  return rst_source_fail(f->source,
                         "HEIF: %llu pixels have to be decoded for a picture of %llu x %llu, expected %llu",
                         (unsigned long long)primary->pixels, (unsigned long long)primary->width,
                         (unsigned long long)primary->height, (unsigned long long)most);
}

rst_status rst_heif_check(const rst_source *source) {
  file f = {.source = source};
  rst_status status = find_meta(&f);
  if (status == RST_OK) status = read_items(&f);
  if (status == RST_OK) status = read_all_properties(&f);
  if (status == RST_OK) status = read_streams(&f);
  if (status == RST_OK) status = read_references(&f);
  if (status == RST_OK) status = check_primary(&f);
  rst_free(f.properties);
  rst_free(f.items);
  return status;
}
