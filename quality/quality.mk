# How well the shipped weights, or others, restore; included by the Makefile.
#   make quality PHOTOS=DIR     PSNR and SSIM of every picture in DIR with noise and as JPEG; a contact sheet in build/quality
#   make quality PAIRS=DIR      the same for degraded pictures in DIR/noisy, whose truth is in DIR/clean
#     LIMIT=N  SIGMAS=0,15,25,50  JPEG=10,20,40 (or none)  MODEL=manifest.json  TILE=256  FLOAT32_ONLY=1

QUALITY_OPTIONS = $(if $(MODEL),--weights $(MODEL)) $(if $(SIGMAS),--sigmas $(SIGMAS)) $(if $(JPEG),--jpeg $(JPEG)) \
                  $(if $(LIMIT),--limit $(LIMIT)) $(if $(TILE),--tile $(TILE)) $(if $(FLOAT32_ONLY),--float32-only) $(if $(PAIRS),--pairs)

$(BUILD)/quality/quality: $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard quality/*.c)) \
                          $(BUILD)/obj/src/programs/common/cli.o $(BUILD)/librestormer.a
	@mkdir -p $(@D)
	$(call link)

.PHONY: quality
quality: $(BUILD)/quality/quality $(BUILD)/restormer-cli
	@[ -d "$(or $(PAIRS),$(PHOTOS))" ] || { echo 'usage: make quality PHOTOS=DIR (clean pictures) or PAIRS=DIR (noisy and clean)' >&2; exit 2; }
	$(BUILD)/quality/quality --cli $(BUILD)/restormer-cli $(QUALITY_OPTIONS) "$(or $(PAIRS),$(PHOTOS))" $(BUILD)/quality
