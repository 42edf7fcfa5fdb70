# How well the shipped weights, or others, restore; included by the Makefile.
#   make quality PHOTOS=DIR     PSNR and SSIM of every picture in DIR; a contact sheet in build/quality
#     LIMIT=N  SIGMAS=0,15,25,50  MODEL=manifest.json  TILE=256  FLOAT32_ONLY=1

QUALITY_OPTIONS = $(if $(MODEL),--weights $(MODEL)) $(if $(SIGMAS),--sigmas $(SIGMAS)) $(if $(LIMIT),--limit $(LIMIT)) \
                  $(if $(TILE),--tile $(TILE)) $(if $(FLOAT32_ONLY),--float32-only)

$(BUILD)/quality/quality: $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard quality/*.c)) \
                          $(BUILD)/obj/src/programs/common/cli.o $(BUILD)/librestormer.a
	@mkdir -p $(@D)
	$(call link)

.PHONY: quality
quality: $(BUILD)/quality/quality $(BUILD)/restormer-cli
	@[ -d "$(PHOTOS)" ] || { echo 'usage: make quality PHOTOS=DIR (a folder of clean pictures)' >&2; exit 2; }
	$(BUILD)/quality/quality --cli $(BUILD)/restormer-cli $(QUALITY_OPTIONS) "$(PHOTOS)" $(BUILD)/quality
