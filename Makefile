# The only entry for people. Bare `make` explains the targets.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

STATE ?= .state
# CITY=ningbo: of a further city on the servers of that installation.
ifdef CITY
override STATE := $(STATE)/cities/$(CITY)
endif
export STATE
# Where this is set, in containers mostly, each process would compile all of our code anew: a quarter of its start.
unexport PYTHONDONTWRITEBYTECODE
# A Python of 3.11 or later: the one named, else the first that there is.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done || true)
RUN := .venv/bin/python
LOCAL := $(RUN) -m deploy.local

# What operators type. Where it is refused it says so itself, and make would add `*** Error`: so what fails leaves a file,
# and make, asked whether anything is left to do (-q, under which lines with + are run), ends with 1 and says nothing.
VERBS := up city down start stop restart upgrade doctor uninstall status logs demo rebuild \
	 sql recount backup backup-due restore restore-test reconcile keys plan
.PHONY: help $(VERBS) $(VERBS:%=.%) faults docs site client sbom check test bench venv-local venv-dev
ifneq ($(filter $(VERBS),$(MAKECMDGOALS)),)
ifeq ($(findstring n,$(filter-out -%,$(firstword $(MAKEFLAGS)))),)
MAKEFLAGS += -q
LEFT := $(shell left=$${TMPDIR:-/tmp}/skillplan-make-$$PPID; rm -f "$$left"; echo "$$left")
TRY = +[ "$(FAILED)" ] || [ -e "$(LEFT)" ] || (unset MAKEFLAGS;
DONE = ) || touch "$(LEFT)"
endif
endif

help: ## 说明各命令 This list
	@echo '用法 Usage: make <目标 target> [STATE=<状态文件夹 state folder>]'
	@awk -F ':.*## ' '/^[a-z -]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv-local venv-dev: venv-%:
	@$(TRY) [ -n "$(PYTHON)" ] || { printf '\n✗ %s\n  %s\n' '没有找到 Python 3.11 以上版本。请安装,或用 PYTHON=<路径> 指明。' \
		'No Python 3.11 or later found. Install one or name it: PYTHON=<path>.' >&2; exit 1; } $(DONE)
	@$(TRY) "$(PYTHON)" deploy/local/environment.py $* $(DONE)

up: ## 启动全部;DEMO=0 不带演示数据,DEMO=small 只带少量 Start everything; DEMO=0 without the demo feed, DEMO=small with little of it
city: ## 在同一套服务器上再建一个市;NAME=ningbo PLAN=<文件或文件夹>,其后各命令加 CITY=ningbo Another city on the same servers; other targets take CITY=
down: ## 停止,数据保留 Stop; the data stays
start stop restart: ## 启动、停止、重启;SERVICE=subsidy 或 subsidy-worker Start, stop, restart a service or a process
upgrade: ## 备份,换上检出的代码与计划,核对 Back up, run the checkout's code and plan, check
doctor: ## 磁盘、备份、密钥、版本、主题、时钟、积压 What to mend before it breaks, each with its fix
uninstall: ## 删除这套安装,备份留下;CONFIRM= Remove this installation; its backups stay
status: ## 什么在哪里运行;JSON=1 供程序读取 What runs where; JSON=1 for programs
logs: ## 跟随日志;SERVICE=subsidy 只看一个 Follow the logs; SERVICE=subsidy for one
demo: ## 再报一批演示数据;REPORTS=1000 SEED=2 Report another demo feed
rebuild: ## 由日志重放重建读模型;BESIDE=1 先看差异,ACCEPT=<代码 code> 同意,BACK=1 放弃 Rebuild; see what differs first, accept it, let it go
sql: ## 在某服务的库中查询;SERVICE=subsidy SQL='…' Ask a service's database
recount: ## 由明细重算并与读模型核对 Recount and compare with the read models
backup: ## 备份各库,密钥另存;TO= KEYS= RAW_HOURS=24 Back up the databases, keys apart; old raw reports go
backup-due: ## 到期才备份、清旧、试恢复,供定时器;AT=02:30 DAYS=30 What is due of backups, for a timer
restore-test: ## 试恢复最新的备份并重算 Restore the newest backup beside what runs, recount it
restore: ## 由备份恢复;FROM=<文件夹> SERVICE= Restore a backup, take back what came after it
reconcile: ## 逐段逐位对账;JSON=1 供程序读取 Compare receipts, logs, topics and ledger by position
keys: ## HTTP 密钥与服务密钥;ARGS="add|list|rotate|revoke|rotate-service …" Keys; alone it explains itself
plan: ## 计划办公室;ARGS="diff|adopt|revise|split|show|close …" The plan office: targets and months

docs: venv-dev ## 由代码与计划生成文档 Write the pages that follow from code and plan
	@$(RUN) -m docs.generators.schemas
	@$(RUN) -m docs.generators.pages
	@$(RUN) -m docs.generators.asyncapi
	@$(RUN) -m docs.generators.openapi
	@$(RUN) -m docs.generators.modules

site: venv-dev ## 由 docs/ 生成文档网站到 .site/ Build the documentation site
	@NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet

client: venv-dev ## skillplan 工具的安装包到 dist/ The wheel of the skillplan tool: uv tool install dist/skillplan-*.whl
	@.venv/bin/uv --quiet build --wheel --out-dir dist . && ls dist/skillplan-*.whl

sbom: venv-dev ## 软件清单(CycloneDX)到 dist/ What the image is made of, as CycloneDX
	@mkdir -p dist
	@.venv/bin/uv --quiet tool run --from cyclonedx-bom==7.5.0 cyclonedx-py requirements --of JSON -o dist/sbom-python.json requirements.txt
	@cd services/projection/dashboard && npm sbom --package-lock-only --sbom-format cyclonedx --omit dev > ../../../dist/sbom-dashboard.json
	@ls dist/sbom-*.json

check: venv-dev ## 代码规范、类型、依赖契约 Lint, types, import contracts
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy --num-workers 2
	@.venv/bin/lint-imports

test: $(if $(ARGS),venv-dev,check) ## 全部测试;ARGS="-k 名字" 选择;JOBS=0 逐个 Every test; ARGS="-k name" to choose; JOBS=0 one by one
	@.venv/bin/pytest -n $(or $(JOBS),3) $(ARGS)

faults: venv-dev ## 故障表;ARGS="--only broker --write" Every fault for real, and what became of the reports
	@$(RUN) -m tests.faults $(ARGS)

bench: venv-dev ## 逐段测速;BENCH_SIZE=small 快速;ARGS="--json F" Measure each hop beside its floor
	@$(RUN) -m tests.bench $(ARGS)

$(VERBS): %: .%
	$(if $(shell [ -e "$(LEFT)" ] && rm "$(LEFT)" && echo failed),$(eval FAILED := $@)left: $@)
.rebuild: venv-local
	@$(TRY) SKILLPLAN_ACCEPT="$(ACCEPT)" SKILLPLAN_ONLY="$(PLAN)" SKILLPLAN_REPORT="$(REPORT)" \
		$(LOCAL) run projection $(if $(BESIDE),beside,$(if $(BACK),back,rebuild)) $(DONE)
.recount: venv-local
	@$(TRY) $(LOCAL) run projection recount $(DONE)
.keys .plan: .%: venv-local
	@$(TRY) $(LOCAL) $* -- $(ARGS) $(DONE)
$(addprefix .,$(filter-out rebuild recount keys plan,$(VERBS))): .%: venv-local
	@$(TRY) $(LOCAL) $* $(DONE)
