/** Tools about HAProxy's configuration: check, reload, and the legacy pair that saves and restores servers. */
import * as Schema from "effect/Schema"
import { checkConfig } from "../../program/ConfigCheck.ts"
import { reload } from "../../program/Reload.ts"
import { restoreState, saveState } from "../../program/SavedState.ts"
import { reads, removes, sets, tool } from "../Tool.ts"
import * as Field from "./fields.ts"

const worker = Schema.Struct({
  pid: Field.count("Its process id."),
  started_at: Field.text("ISO 8601 in UTC."),
  version: Field.text("HAProxy's version.")
})

export const reloadTool = tool({
  name: "haproxy_reload",
  title: "Reload HAProxy",
  scope: "config",
  description:
    "Checks HAProxy's configuration, lets HAProxy read it again, waits for the new worker and compares it with the "
    + "desired state. Needed after haproxy.cfg was edited, never for domains or servers. First: haproxy_check_config.",
  annotations: removes,
  input: Field.dryRun,
  output: {
    summary: Field.summary,
    way: Schema.Literals(["master_socket", "container", "systemd", "command"]).annotate({
      description: "How HAProxy was told."
    }),
    old_worker: Schema.NullOr(worker).annotate({ description: "The worker before; null when none was reached." }),
    new_worker: worker.annotate({ description: "The worker that serves now." }),
    duration_ms: Field.count("Milliseconds for all of it."),
    repaired: Field.count("Differences that were repaired in the new worker."),
    warnings: Field.texts("What HAProxy warned of; its own words."),
    ...Field.planned
  },
  long: true,
  program: () => reload
})

export const checkConfigTool = tool({
  name: "haproxy_check_config",
  title: "Check the configuration",
  scope: "config",
  description:
    "Says whether HAProxy accepts its configuration files (haproxy -c, messages with file and line) and has what "
    + "the control plane needs (Runtime API, maps, pools, pools.cfg, a way to reload). Use it before haproxy_reload "
    + "and when setting up.",
  annotations: reads,
  input: {},
  output: {
    summary: Field.summary,
    valid: Schema.NullOr(Schema.Boolean).annotate({
      description: "HAProxy accepts the files; null when they could not be checked (see needs)."
    }),
    messages: Schema.Array(Schema.Struct({
      level: Schema.Literals(["alert", "warning", "notice"]).annotate({ description: "An alert makes it invalid." }),
      file: Field.textOrNull("The file it is about."),
      line: Field.countOrNull("Its line."),
      text: Field.text("HAProxy's own words.")
    })).annotate({ description: "What HAProxy says, alerts first, at most 30." }),
    messages_left_out: Field.count("Further messages."),
    needs: Schema.Array(Schema.Struct({
      what: Field.text("What is needed."),
      ok: Field.flag("It is there."),
      hint: Field.text("What to do; empty when there is nothing to do.")
    })).annotate({ description: "What the control plane needs of HAProxy's setup." })
  },
  long: true,
  program: () => checkConfig
})

export const saveStateTool = tool({
  name: "haproxy_save_state",
  title: "Save server states (legacy)",
  scope: "config",
  description:
    "Legacy: writes HAProxy's `show servers state` to HAPROXY_STATE_FILE. Not needed for restarts: weights, states "
    + "and addresses are in the database. haproxy_restore_state reads the file.",
  annotations: sets,
  input: Field.dryRun,
  output: {
    summary: Field.summary,
    file: Field.text("The file that was written."),
    servers: Field.count("Servers in it."),
    bytes: Field.count("Its size."),
    ...Field.planned
  },
  program: () => saveState
})

export const restoreStateTool = tool({
  name: "haproxy_restore_state",
  title: "Restore server states (legacy)",
  scope: "traffic",
  description:
    "Legacy: sets weight and state of our servers as haproxy_save_state saved them, where the slot still holds the "
    + "saved address. Not needed after restarts: the desired state is in the database and wins.",
  annotations: removes,
  input: { ...Field.force, ...Field.dryRun },
  output: {
    summary: Field.summary,
    file: Field.text("The file that was read."),
    saved_at: Field.text("When it was saved, ISO 8601 in UTC."),
    restored: Schema.Array(Schema.Struct({
      server: Field.text("Its name, pool_N_K."),
      weight: Field.count("Its weight now."),
      state: Field.state
    })).annotate({ description: "Servers that were changed, at most 100." }),
    restored_count: Field.count("How many were changed."),
    same_count: Field.count("Saved servers that were as saved already."),
    skipped_count: Field.count("Saved servers whose slot is empty or holds another address now: left alone."),
    foreign_count: Field.count("Saved servers that are not ours: never touched."),
    ...Field.written,
    ...Field.planned
  },
  guarded: true,
  program: () => restoreState
})
