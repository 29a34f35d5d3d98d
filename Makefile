# The habitual names for what npm runs; package.json has the commands. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help install build test check format demo bench campaign image release-dry-run clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\): ## \(.*\)/  \1\t\2/p' Makefile | expand -t 20

install: ## Install the packages
	npm ci

build: ## Build dist/
	npm run build

test: ## Run all tests
	npm test

check: ## Types, lint, format
	npm run check

format: ## Format the sources
	npm run format

demo: ## Show the main job on a real HAProxy
	npm run demo

bench: ## Measure
	npm run bench

campaign: ## Fault campaigns, long
	npm run campaign

image: ## Build the container image
	npm run image

release-dry-run: ## Make a release in dist/release, publish nothing
	npm run release -- --dry-run

clean: ## Remove what was built
	npm run clean
