# restormer-cli: plain `make` builds everything into build/.
#
#   make            library and programs            make test      install what is missing, build, run all tests
#   make demo       restore a sample picture        make check     the same without installing anything
#   make lint       clang-tidy and cppcheck         make sanitize  the tests under AddressSanitizer and UBSan
#   make install    prefix=/usr/local DESTDIR=      make uninstall, make deb, make clean
#   make quality    PHOTOS=DIR: PSNR and SSIM       make soak      2,000 pictures through one process
#
# Variables: BUILD (folder), CC, CFLAGS (optimisation and debugging), CPPFLAGS, LDFLAGS, PKG_CONFIG, SANITIZE
# (address,undefined or thread), WERROR=1 (warnings are errors), HARDENING= (none), TEST (tests whose name contains one
# of its words: make check TEST=cli/). Those of an installation: packaging/packaging.mk.

BUILD      ?= build
CFLAGS     ?= -O2 -g
PKG_CONFIG ?= pkg-config
SANITIZE   ?=
WERROR     ?=

VERSION   := $(shell sed -n 's/^\#define RST_VERSION "\(.*\)"/\1/p' src/restormer.h)
SOVERSION := 0# grows when programs that are linked to the shared library must be built anew
MACHINE   := $(shell $(CC) -dumpmachine)

# ---- Flags --------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla $(if $(WERROR),-Werror)
# No fused or reordered arithmetic that the source does not ask for: results are the same from every compiler. Nor do
# they tell in which folder they were built.
BASE_CFLAGS := -std=c11 -D_GNU_SOURCE -Isrc -fPIC -pthread -fvisibility=hidden -ffp-contract=off \
               -ffile-prefix-map=$(CURDIR)=. $(WARNINGS)
ifneq ($(SANITIZE),)
BASE_CFLAGS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
LINK_SANITIZE := -fsanitize=$(SANITIZE)
HARDENING :=
endif
# Fortified functions need optimisation, and take each other's place with what a distribution has set.
HARDENING ?= -fstack-protector-strong $(if $(filter-out -O0,$(filter -O%,$(CFLAGS))),$(if \
               $(findstring _FORTIFY_SOURCE,$(CFLAGS) $(CPPFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2))
LINK_FLAGS = $(LINK_SANITIZE) -pthread $(LDFLAGS)
ifeq ($(findstring darwin,$(MACHINE)),)
ifneq ($(HARDENING),)
LINK_HARDENING := -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
endif
# Only the libraries that a program calls, which not every compiler asks for by itself: libzip's own cost each run 2 MB.
LINK_PROGRAM   := -Wl,--as-needed -pie $(LINK_HARDENING)
LINK_SHARED    := -Wl,--as-needed -Wl,-soname,librestormer.so.$(SOVERSION) -Wl,--version-script=src/librestormer.map $(LINK_HARDENING)
ARFLAGS        := rcsD
else
ARFLAGS        := rcs
endif
# pkg-config knows libraries in unusual places; without it, or where it does not know one, they are in the usual ones.
# $(call libs,NAMES,-lNAMES) $(call cflags,NAMES)
libs   = $(or $(shell $(PKG_CONFIG) --libs $(1) 2>/dev/null),$(2))
cflags = $(shell $(PKG_CONFIG) --cflags $(1) 2>/dev/null)
# Formats of pictures that a build can do without: those whose library pkg-config knows. FORMATS= leaves all out.
have         = $(shell $(PKG_CONFIG) --exists '$(1)' 2>/dev/null && echo $(2))
FORMATS     ?= $(call have,libtiff-4 >= 4.5,tiff) $(call have,libwebp libwebpmux,webp) $(call have,libheif >= 1.12,heif)
FORMAT_PACKAGES := $(patsubst tiff,libtiff-4,$(patsubst heif,libheif,$(subst webp,libwebp libwebpmux,$(FORMATS))))
# libheif is loaded by the first file that needs it (src/image/heif.c): the video decoders behind it cost every run memory.
LINKED_PACKAGES := $(filter-out libheif,$(FORMAT_PACKAGES))
FORMAT_LIBS := $(if $(LINKED_PACKAGES),$(shell $(PKG_CONFIG) --libs $(LINKED_PACKAGES))) $(if $(filter heif,$(FORMATS)),-ldl)
LIBS        := $(call libs,libcjson,-lcjson) $(call libs,libzip,-lzip) $(call libs,libjpeg,-ljpeg) $(call libs,zlib,-lz) $(FORMAT_LIBS) -lm
LIB_CFLAGS  := $(call cflags,libcjson) $(call cflags,libzip libjpeg zlib) $(if $(strip $(FORMATS)),$(call cflags,$(FORMAT_PACKAGES)))
# Decoding in a process without rights (src/sandbox), where there is libseccomp.
ifneq ($(findstring /,$(shell $(CC) -print-file-name=libseccomp.so)),)
BASE_CFLAGS += -DRST_HAVE_SECCOMP
LIBS        += -lseccomp
endif
TEST_LIBS   := $(call libs,cmocka,-lcmocka)
ALL_CFLAGS   = $(BASE_CFLAGS) $(LIB_CFLAGS) $(HARDENING) $(CFLAGS) $(CPPFLAGS)

# ---- What there is ------------------------------------------------------------------------------

# One source per kernel, compiled once per instruction set (src/kernels/simd).
ifneq ($(filter x86_64%,$(MACHINE)),)
ISAS := baseline avx2 avxvnni avx512 avx512vnni avx512bf16 amx
endif
ifneq ($(filter aarch64% arm64%,$(MACHINE)),)
ISAS := baseline neon neondot
ISA_CFLAGS_baseline := -DRST_PORTABLE # NEON is always there; baseline does without
endif
ISAS ?= baseline
ISA_CFLAGS_avx2       := -mavx2 -mfma
ISA_CFLAGS_avxvnni    := $(ISA_CFLAGS_avx2) -mavxvnni
ISA_CFLAGS_avx512     := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512
ISA_CFLAGS_avx512vnni := $(ISA_CFLAGS_avx512) -mavx512vnni
ISA_CFLAGS_avx512bf16 := $(ISA_CFLAGS_avx512vnni) -mavx512bf16
ISA_CFLAGS_neondot    := -march=armv8.2-a+dotprod
ISA_CFLAGS_amx        := $(ISA_CFLAGS_avx512bf16) -mamx-tile -mamx-int8 -mamx-bf16
# What the compiler does not know yet (AVX-VNNI and AMX want gcc 11 or clang 12) is left out.
ISAS := $(foreach isa,$(ISAS),$(if $(shell $(CC) $(ISA_CFLAGS_$(isa)) -E -x c /dev/null >/dev/null 2>&1 && echo yes),$(isa)))
# Dot products of int8 and bf16 have nothing to add in other precisions.
VARIANTS := $(filter-out amx_f32 avx512bf16_f32 avx%vnni_f32 avx%vnni_bf16 neondot_f32 neondot_bf16,$(foreach isa,$(ISAS),$(isa)_f32 $(isa)_bf16 $(isa)_int8))

SIMD_SOURCES := $(wildcard src/kernels/simd/*.c)
LIB_SOURCES  := $(filter-out $(SIMD_SOURCES) $(patsubst %,src/image/%.c,$(filter-out $(FORMATS),tiff webp heif)),$(wildcard src/base/*.c src/sandbox/*.c src/kernels/*.c src/image/*.c src/weights/*.c \
                  src/weights/*/*.c src/model/*.c src/api/*.c))
PROGRAMS     := $(patsubst src/programs/%/main.c,%,$(wildcard src/programs/*/main.c))
TESTS        := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
TOOLS        := $(patsubst tests/tools/%.c,%,$(wildcard tests/tools/*.c))
SUPPORT      := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/support/*.c))

LIB_OBJECTS  := $(LIB_SOURCES:%.c=$(BUILD)/obj/%.o) \
                $(foreach v,$(VARIANTS),$(SIMD_SOURCES:%.c=$(BUILD)/obj/%.$(v).o))

SHARED := librestormer.so.$(VERSION)

.PHONY: all
all: $(BUILD)/librestormer.a $(BUILD)/librestormer.so $(PROGRAMS:%=$(BUILD)/%)

.SECONDARY:
.DELETE_ON_ERROR:

# ---- Objects ------------------------------------------------------------------------------------

# Files that hold what objects are compiled with and libraries are made of. They are written when that changes, and what
# depends on them is made anew then.
QUOTE := '
define stamp_rule
$(BUILD)/stamps/$(1): FORCE
	@mkdir -p $$(@D)
	@text='$$(subst $$(QUOTE),$$(QUOTE)\$$(QUOTE)$$(QUOTE),$$($(2)))'; \
	  [ "$$$$text" = "$$$$(cat $$@ 2>/dev/null)" ] || printf '%s\n' "$$$$text" >$$@
endef
COMPILE_STAMP = $(CC) $(ALL_CFLAGS)
LINK_STAMP    = $(CC) $(LINK_FLAGS) $(LINK_PROGRAM) $(LINK_SHARED) $(LIBS) $(TEST_LIBS) $(LIB_OBJECTS)
$(eval $(call stamp_rule,compile,COMPILE_STAMP))
$(eval $(call stamp_rule,link,LINK_STAMP))
.PHONY: FORCE
FORCE:

$(BUILD)/obj/%.o: %.c $(BUILD)/stamps/compile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c $< -o $@

# Variants: instruction set x precision; RST_ISA_* is the public name of the instruction set.
ISA_NAME_baseline := BASELINE
ISA_NAME_avx2 := AVX2
ISA_NAME_avxvnni := AVXVNNI
ISA_NAME_avx512 := AVX512
ISA_NAME_avx512vnni := AVX512VNNI
ISA_NAME_avx512bf16 := AVX512BF16
ISA_NAME_amx := AMX
ISA_NAME_neon := NEON
ISA_NAME_neondot := NEONDOT
# Loading is a few short loops over every weight, which gcc makes vectors of only here.
$(BUILD)/obj/src/model/pack.o $(BUILD)/obj/src/base/tensor.o: EXTRA_CFLAGS = -O3

define simd_rule
$(BUILD)/obj/src/kernels/simd/%.$(1)_$(2).o: src/kernels/simd/%.c $(BUILD)/stamps/compile
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_CFLAGS) -O3 $$(SIMD_CFLAGS) $$(ISA_CFLAGS_$(1)) -DRST_VARIANT=$(1)_$(2) -DRST_VARIANT_ISA=RST_ISA_$$(ISA_NAME_$(1)) \
	  -DRST_BF16=$(if $(filter bf16 int8,$(2)),1,0) -DRST_INT8=$(if $(filter int8,$(2)),1,0) -MMD -MP -c $$< -o $$@
endef
$(foreach v,$(VARIANTS),$(eval $(call simd_rule,$(firstword $(subst _, ,$(v))),$(lastword $(subst _, ,$(v))))))
$(BUILD)/obj/src/image/codecs.o: EXTRA_CFLAGS = $(foreach format,$(FORMATS),-DRST_HAVE_$(format))
$(BUILD)/obj/src/kernels/dispatch.o: EXTRA_CFLAGS = $(foreach isa,$(ISAS),-DRST_HAVE_$(isa))

# ---- Libraries and programs ---------------------------------------------------------------------

$(BUILD)/librestormer.a: $(LIB_OBJECTS) $(BUILD)/stamps/link
	@rm -f $@
	$(AR) $(ARFLAGS) $@ $(LIB_OBJECTS)

$(BUILD)/$(SHARED): $(LIB_OBJECTS) src/librestormer.map $(BUILD)/stamps/link
	$(CC) -shared $(LINK_FLAGS) $(LINK_SHARED) -o $@ $(LIB_OBJECTS) $(LIBS)
$(BUILD)/librestormer.so: $(BUILD)/$(SHARED)
	ln -sf $(SHARED) $(BUILD)/librestormer.so.$(SOVERSION)
	ln -sf $(SHARED) $@

# Everything that has a main function; $(call link,LIBRARIES)
link = $(CC) $(LINK_FLAGS) $(LINK_PROGRAM) -o $@ $(filter %.o %.a,$^) $(LIBS) $(1)

# A program is a folder: its main.c and what only it needs.
define program_rule
$(BUILD)/$(1): $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard src/programs/$(1)/*.c src/programs/common/*.c)) $(BUILD)/librestormer.a
	$$(call link)
endef
$(foreach program,$(PROGRAMS),$(eval $(call program_rule,$(program))))

# Where programs find the weights of the source tree: their folder as seen from BUILD.
EMPTY :=
SPACE := $(EMPTY) $(EMPTY)
UP := $(if $(filter /%,$(BUILD)),$(shell realpath -m --relative-to=$(BUILD) $(CURDIR)),$(subst $(SPACE),/,$(patsubst \
        %,..,$(subst /, ,$(BUILD)))))
$(BUILD)/obj/src/programs/common/models.o: EXTRA_CFLAGS = -DRST_SOURCE_WEIGHTS='"$(UP)/weights"'

# Unit tests and the tests' own tools see the internal headers and the support code.
WRAP := -Wl,--wrap=aligned_alloc,--wrap=mmap,--wrap=pthread_create # tests can make these fail for the library
$(BUILD)/obj/tests/%.o: EXTRA_CFLAGS = -Itests
$(TESTS:%=$(BUILD)/tests/%): $(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(SUPPORT) $(BUILD)/librestormer.a
	@mkdir -p $(@D)
	$(call link,$(WRAP) $(TEST_LIBS))
$(TOOLS:%=$(BUILD)/tests/tools/%): $(BUILD)/tests/tools/%: $(BUILD)/obj/tests/tools/%.o $(SUPPORT) $(BUILD)/librestormer.a
	@mkdir -p $(@D)
	$(call link,$(WRAP) $(TEST_LIBS))

.PHONY: unit-tests
unit-tests: $(TESTS:%=$(BUILD)/tests/%) $(TOOLS:%=$(BUILD)/tests/tools/%) $(BUILD)/quality/quality

.PHONY: check
check: all unit-tests
	tests/run $(BUILD) $(TEST)

# `make test` and `make demo` work on a machine that has only a compiler, make and git: packages first, then the build.
.PHONY: test
test:
	contrib/install-dependencies test
	+$(MAKE) --no-print-directory check

.PHONY: sanitize
sanitize:
	+$(MAKE) --no-print-directory check SANITIZE=address,undefined BUILD=$(BUILD)/sanitize

.PHONY: soak
soak: all unit-tests
	tests/soak $(BUILD)

.PHONY: lint
lint:
	contrib/lint

.PHONY: demo
demo:
	contrib/install-dependencies build
	+$(MAKE) --no-print-directory all
	contrib/demo $(BUILD)

.PHONY: clean
clean:
	rm -rf $(BUILD)

include packaging/packaging.mk
include bench/bench.mk
include quality/quality.mk
include tests/fuzz/fuzz.mk

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
