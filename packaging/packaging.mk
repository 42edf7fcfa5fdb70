# Installing and packages; included by the Makefile.
#   make install, make uninstall     with the variables of the GNU coding standards: prefix, exec_prefix, bindir, libdir,
#                                    includedir, datarootdir, datadir, mandir, docdir; DESTDIR goes before each of them
#   make deb                         Debian packages in BUILD/deb, of what a build with prefix=/usr installs

prefix        ?= $(or $(PREFIX),/usr/local)
exec_prefix   ?= $(prefix)
bindir        ?= $(exec_prefix)/bin
libdir        ?= $(exec_prefix)/lib
pkgconfigdir  ?= $(libdir)/pkgconfig
includedir    ?= $(prefix)/include
datarootdir   ?= $(prefix)/share
datadir       ?= $(datarootdir)
docdir        ?= $(datarootdir)/doc/restormer-cli
mandir        ?= $(datarootdir)/man
man1dir       ?= $(mandir)/man1
bashcompdir   ?= $(datadir)/bash-completion/completions
zshcompdir    ?= $(datadir)/zsh/site-functions
fishcompdir   ?= $(datadir)/fish/vendor_completions.d
MULTIARCH      = $(shell $(CC) -print-multiarch 2>/dev/null || echo $(MACHINE))
weightsdir     = $(datadir)/restormer-cli/weights
INSTALL       ?= install

# What is installed; uninstall removes just that.
WEIGHTS  := $(wildcard weights/*.json weights/*.safetensors weights/README.md)
DOCS     := $(wildcard README.md CHANGELOG.md LICENSE SECURITY.md)
EXAMPLES := $(wildcard examples/*.c)
MANPAGES := $(wildcard docs/*.1)
BASHCOMP := $(wildcard contrib/completions/*.bash)
ZSHCOMP  := $(wildcard contrib/completions/_*)
FISHCOMP := $(wildcard contrib/completions/*.fish)
LIBRARIES := librestormer.a $(SHARED) librestormer.so.$(SOVERSION) librestormer.so

# $(call put,FOLDER,FILES[,MODE]): nothing when there are no files
put = $(if $(strip $(2)),$(INSTALL) -d "$(DESTDIR)$(1)" && $(INSTALL) -m $(or $(3),644) $(2) "$(DESTDIR)$(1)")
# $(call removed,FOLDER,FILES): files of these names
removed = rm -f $(foreach file,$(2),"$(DESTDIR)$(1)/$(notdir $(file))")

.PHONY: install
install: all
	$(call put,$(bindir),$(PROGRAMS:%=$(BUILD)/%),755)
	$(call put,$(libdir),$(BUILD)/librestormer.a)
	$(call put,$(libdir),$(BUILD)/$(SHARED),755)
	ln -sf $(SHARED) "$(DESTDIR)$(libdir)/librestormer.so.$(SOVERSION)"
	ln -sf librestormer.so.$(SOVERSION) "$(DESTDIR)$(libdir)/librestormer.so"
	$(call put,$(includedir),src/restormer.h)
	$(INSTALL) -d "$(DESTDIR)$(pkgconfigdir)"
	sed -e 's|@prefix@|$(prefix)|' -e 's|@exec_prefix@|$(exec_prefix:$(prefix)%=$${prefix}%)|' \
	  -e 's|@libdir@|$(libdir:$(exec_prefix)%=$${exec_prefix}%)|' \
	  -e 's|@includedir@|$(includedir:$(prefix)%=$${prefix}%)|' \
	  -e 's|@version@|$(VERSION)|' -e 's|@libs@|$(LIBS) $(filter -pthread,$(LINK_FLAGS))|' \
	  packaging/restormer.pc.in >"$(DESTDIR)$(pkgconfigdir)/restormer.pc"
	$(call put,$(weightsdir),$(WEIGHTS))
	$(call put,$(docdir),$(DOCS))
	$(call put,$(docdir)/examples,$(EXAMPLES))
	$(call put,$(man1dir),$(MANPAGES))
	$(call put,$(zshcompdir),$(ZSHCOMP))
	$(call put,$(fishcompdir),$(FISHCOMP))
	$(if $(BASHCOMP),$(INSTALL) -d "$(DESTDIR)$(bashcompdir)")
	$(foreach file,$(BASHCOMP),$(INSTALL) -m 644 $(file) "$(DESTDIR)$(bashcompdir)/$(basename $(notdir $(file)))" && ):

# Folders that bear our name go, too, when nobody else has put anything there.
.PHONY: uninstall
uninstall:
	$(call removed,$(bindir),$(PROGRAMS))
	$(call removed,$(libdir),$(LIBRARIES))
	$(call removed,$(includedir),restormer.h)
	$(call removed,$(pkgconfigdir),restormer.pc)
	$(call removed,$(weightsdir),$(WEIGHTS))
	$(call removed,$(docdir)/examples,$(EXAMPLES))
	$(call removed,$(docdir),$(DOCS))
	$(call removed,$(man1dir),$(MANPAGES))
	$(call removed,$(zshcompdir),$(ZSHCOMP))
	$(call removed,$(fishcompdir),$(FISHCOMP))
	$(call removed,$(bashcompdir),$(basename $(BASHCOMP)))
	-for folder in $(weightsdir) $(datadir)/restormer-cli $(docdir)/examples $(docdir); do \
	  [ ! -d "$(DESTDIR)$$folder" ] || rmdir "$(DESTDIR)$$folder" 2>/dev/null; done; :

DEB_OUT ?= $(BUILD)/deb
.PHONY: deb
deb: all
	rm -rf $(DEB_OUT).root
	+$(MAKE) --no-print-directory -o all install prefix=/usr libdir=/usr/lib/$(MULTIARCH) DESTDIR=$(abspath $(DEB_OUT).root)
	packaging/make-deb $(DEB_OUT).root $(VERSION) $(SOVERSION) $(DEB_OUT)
	rm -rf $(DEB_OUT).root
