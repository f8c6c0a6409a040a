# Everything a person types. The work is in CMake (presets) and scripts/.
PRESET ?= release
PREFIX ?= /usr/local
DESTDIR ?=
BUILD := $(if $(filter release,$(PRESET)),build,build-$(PRESET))
JOBS ?= $(shell nproc)

.PHONY: all build test demo bench install setup format clean

all: build

setup:
	@scripts/setup build

build: setup
	@cmake --preset $(PRESET) --log-level=WARNING >/dev/null || cmake --preset $(PRESET)
	@cmake --build $(BUILD) -j $(JOBS)

test:
	@scripts/setup build test
	@$(MAKE) --no-print-directory build PRESET=$(PRESET)
	@scripts/test $(BUILD) $(ARGS)

demo: build
	@scripts/setup $(if $(filter mysql mariadb,$(DB)),demo-mysql,demo)
	@DB=$(DB) scripts/demo

bench: build
	@scripts/setup test bench
	@scripts/bench $(ARGS)

install:
	@DESTDIR=$(DESTDIR) cmake --install $(BUILD) --prefix $(PREFIX)

format:
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format -i

clean:
	@rm -rf build build-debug build-asan build-tsan
