/** Verbs of the command line on the remote copy of the database. They run without a control plane, too. */
import * as Schema from "effect/Schema"
import { remoteList, remoteRestore, remoteStatus, remoteTakeOver } from "../../program/replication/RemoteControl.ts"
import type { Catalogue } from "../CallTool.ts"
import { reads, sets, type Tool, tool } from "../Tool.ts"
import * as Field from "../tools/fields.ts"

const remoteStatusVerb = tool({
  name: "remote_status",
  title: "Remote copy",
  description: "How the copy of the database on the remote host stands.",
  annotations: reads,
  input: {},
  output: {
    summary: Field.summary,
    mode: Schema.Literals(["off", "strict", "async"]).annotate({ description: "HAPROXY_REMOTE_SYNC." }),
    role: Schema.Literals(["writer", "reader"]).annotate({ description: "A reader writes nothing; see reason." }),
    host: Field.text("The remote host."),
    file: Field.text("The newest full copy there."),
    link: Schema.Struct({ up: Field.flag("The connection stands."), reason: Field.text("Why not.") }).annotate({
      description: "The SSH connection."
    }),
    generation: Field.countOrNull("Newest generation known here."),
    lag: Field.count("Commits that are not durable there yet."),
    last_published_at: Field.textOrNull("When the last one became durable."),
    started_as: Field.text("What was decided at the start."),
    reason: Field.text("Why it does not get on; empty when it does.")
  },
  program: remoteStatus
})

const remoteListVerb = tool({
  name: "remote_list",
  title: "Generations",
  description: "Lists the generations of the database on the remote host, newest first.",
  annotations: reads,
  input: { limit: Schema.optionalKey(Field.whole(1, 1_000, "Most generations to list.", 50)) },
  output: {
    summary: Field.summary,
    generations: Schema.Array(
      Schema.Struct({
        generation: Field.count("Its number."),
        kind: Schema.Literals(["full", "delta", "claim"]).annotate({
          description: "A whole copy, what changed, or a number that was taken to write from."
        }),
        revision: Field.count("Revision of the desired state in it."),
        commits: Field.count("Commits of the database in it."),
        size: Field.count("Bytes."),
        written_at: Field.text("When, by its writer's clock."),
        writer: Field.text("Which life of a control plane wrote it."),
        host: Field.text("Where that ran."),
        state: Field.text("ok, or what is wrong with it.")
      })
    ).annotate({ description: "Newest first." }),
    total: Field.count("How many there are.")
  },
  program: remoteList
})

const action = {
  summary: Field.summary,
  generation: Field.count("The generation that was made."),
  revision: Field.count("Revision of its desired state."),
  kept: Field.textOrNull("Where the database that was here before is kept."),
  warnings: Field.texts("What to know about it.")
}

const remoteRestoreVerb = tool({
  name: "remote_restore",
  title: "Restore a generation",
  description: "Makes an old generation the newest one, here, on the remote host and in HAProxy.",
  annotations: sets,
  input: { generation: Field.whole(1, 9_999_999_999, "Its number, of remote list.") },
  output: action,
  program: remoteRestore
})

const remoteTakeOverVerb = tool({
  name: "remote_take_over",
  title: "Take over",
  description:
    "Makes this control plane the one that writes, from the remote copy or from the database that lies here.",
  annotations: sets,
  input: {
    keep: Schema.optionalKey(
      Schema.Literals(["remote", "local"]).annotate({ description: "Which database goes on. Default: remote." })
    )
  },
  output: action,
  program: remoteTakeOver
})

/** See the module's head. */
export const remoteVerbs: ReadonlyArray<Tool> = [
  remoteStatusVerb,
  remoteListVerb,
  remoteRestoreVerb,
  remoteTakeOverVerb
]

const byName: ReadonlyMap<string, Tool> = new Map(remoteVerbs.map((verb) => [verb.name, verb]))

/** The verbs by name. */
export const remoteCatalogue: Catalogue = { find: (name) => byName.get(name), names: [...byName.keys()] }
