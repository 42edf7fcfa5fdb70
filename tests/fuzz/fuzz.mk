# make fuzz: every target for FUZZ_SECONDS, with clang's libFuzzer, AddressSanitizer and UBSan. FUZZ=png runs one.
FUZZ_SECONDS  ?= 60
FUZZ          ?=
FUZZ_PICTURES := png jpeg bmp tga pnm pfm $(FORMATS)
FUZZ_OTHERS   := manifest safetensors checkpoint options
# Kernels read no stranger's bytes, and take minutes to compile with sanitizers: they do without. Comparisons are not traced:
# the seeds have the words that a file is made of, and without it there are twice as many executions.
FUZZ_BUILD    := CC=clang ISAS=baseline SIMD_CFLAGS=-fno-sanitize=all SANITIZE=address,undefined \
                 CPPFLAGS=-fsanitize-coverage=inline-8bit-counters,pc-table BUILD=$(BUILD)/libfuzzer
FUZZ_TARGETS  := $(addprefix $(BUILD)/fuzz/,$(FUZZ_PICTURES) $(FUZZ_OTHERS))

define fuzz_picture_rule
$(BUILD)/fuzz/obj/$(1).o: tests/fuzz/picture.c $(BUILD)/stamps/compile
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_CFLAGS) -Itests/fuzz -DFUZZ_FORMAT='"$(1)"'  -MMD -MP -c $$< -o $$@
endef
$(foreach picture,$(FUZZ_PICTURES),$(eval $(call fuzz_picture_rule,$(picture))))
$(BUILD)/fuzz/obj/%.o: tests/fuzz/%.c $(BUILD)/stamps/compile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Itests/fuzz -MMD -MP -c $< -o $@
# The command line's table, without its main.
$(BUILD)/fuzz/options: $(patsubst %.c,$(BUILD)/obj/%.o,src/programs/restormer-cli/options.c $(wildcard src/programs/common/*.c))
$(FUZZ_TARGETS): $(BUILD)/fuzz/%: $(BUILD)/fuzz/obj/%.o $(BUILD)/fuzz/obj/fuzz.o $(BUILD)/librestormer.a
	$(CC) $(LINK_FLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS)

.PHONY: fuzz fuzz-targets
fuzz-targets: $(FUZZ_TARGETS)
fuzz: all unit-tests
	+$(MAKE) --no-print-directory fuzz-targets $(FUZZ_BUILD)
	tests/fuzz/run $(BUILD) $(BUILD)/libfuzzer $(FUZZ_SECONDS) $(or $(FUZZ),$(FUZZ_PICTURES) $(FUZZ_OTHERS))
