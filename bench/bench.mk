# Benchmarks; included by the Makefile.
#   make bench-kernels     each kernel: checked, then its share of the processor's peak

BENCH_PROGRAMS := peak runner kernels
BENCH_CFLAGS := -O2
$(BUILD)/obj/bench/%.o: EXTRA_CFLAGS = $(BENCH_CFLAGS) -Itests
$(BUILD)/bench/peak: $(BUILD)/obj/bench/measure_peak.o $(BUILD)/obj/bench/peak.o $(BUILD)/librestormer.a
$(BUILD)/bench/runner: $(BUILD)/obj/bench/runner.o $(BUILD)/obj/bench/peak.o $(BUILD)/librestormer.a
$(BUILD)/bench/kernels: $(BUILD)/obj/bench/kernels.o $(BUILD)/obj/bench/peak.o $(BUILD)/librestormer.a
$(BENCH_PROGRAMS:%=$(BUILD)/bench/%):
	@mkdir -p $(@D)
	$(CC) $(LINK_SANITIZE) -fopenmp $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

.PHONY: bench-kernels
bench-kernels: $(BUILD)/bench/kernels $(BUILD)/tests/test_kernels
	$(BUILD)/tests/test_kernels
	$(BUILD)/bench/kernels
