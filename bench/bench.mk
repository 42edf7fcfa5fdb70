# Benchmarks; included by the Makefile. What they measure and what came out: bench/NOTES.md.
#   make bench             whole runs: a table, build/bench/bench.svg and bench.json; BENCH=--help lists options
#   make bench-kernels     each kernel: checked, then its share of the processor's peak
#   make bench-gdfn        one feed-forward block of level 1
#   make bench-peers       installs the other runtimes that these then run beside ours

$(BUILD)/obj/bench/%.o: EXTRA_CFLAGS = -O2
$(BUILD)/bench/peak: $(BUILD)/obj/bench/measure_peak.o $(BUILD)/obj/bench/peak.o $(BUILD)/librestormer.a
$(BUILD)/bench/runner: $(BUILD)/obj/bench/runner.o $(BUILD)/obj/bench/peak.o $(BUILD)/librestormer.a
$(BUILD)/bench/kernels: $(BUILD)/obj/bench/kernels.o $(BUILD)/obj/bench/peak.o $(BUILD)/librestormer.a
$(BUILD)/bench/onednn_gdfn: $(BUILD)/obj/bench/peers/onednn_gdfn.o
$(BUILD)/bench/onednn_gdfn: BENCH_LIBS := -ldnnl
$(addprefix $(BUILD)/bench/,peak runner kernels onednn_gdfn):
	@mkdir -p $(@D)
	$(call link,$(BENCH_LIBS))

.PHONY: bench bench-kernels bench-gdfn bench-peers
bench: all $(BUILD)/bench/peak $(BUILD)/tests/tools/make-model
	bench/bench --build $(BUILD) $(BENCH)

bench-kernels: $(BUILD)/bench/kernels $(BUILD)/tests/test_kernels
	$(BUILD)/tests/test_kernels
	$(BUILD)/bench/kernels

bench-gdfn: $(BUILD)/bench/runner $(BUILD)/tests/tools/make-model
	bench/gdfn --build $(BUILD)

bench-peers:
	bench/peers/install $(BUILD)/peers
	+$(MAKE) --no-print-directory $(BUILD)/bench/onednn_gdfn
