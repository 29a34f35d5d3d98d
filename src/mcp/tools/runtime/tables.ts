/** Tools on stick tables: what HAProxy remembers of clients. */
import * as Schema from "effect/Schema"
import { clearTable, listTables, operators, setTableEntry, showTable } from "../../../program/runtime/Tables.ts"
import { reads, sets, tool } from "../../Tool.ts"
import * as Field from "../fields.ts"
import * as Runtime from "./fields.ts"

const table = Field.text("Name of the table.")
const which = {
  key: Runtime.maybe("One entry: an address, a text or a number."),
  data: Runtime.maybe("Data of a condition, such as gpc0 or http_req_rate."),
  operator: Runtime.maybeOneOf(operators, "Compares it with value.", "gt"),
  value: Runtime.maybeWhole(0, 4_294_967_295, "Number to compare with.")
}
const used = Runtime.int("Entries now.")

export const stickTableListTool = tool({
  name: "haproxy_stick_table_list",
  title: "List stick tables",
  description:
    "Lists HAProxy's stick tables with their key type, size and how many entries they hold: rates, counters and "
    + "persistence of clients. Next: haproxy_stick_table_show.",
  annotations: reads,
  scope: "read",
  input: { search: Runtime.search, ...Field.paging(50) },
  output: {
    summary: Field.summary,
    tables: Schema.Array(
      Schema.Struct({
        name: table,
        type: Field.text("Type of its keys."),
        size: Runtime.int("Entries it may hold."),
        used
      })
    ).annotate({ description: "One page." }),
    total: Runtime.total,
    ...Runtime.page
  },
  program: listTables
})

export const stickTableShowTool = tool({
  name: "haproxy_stick_table_show",
  title: "Entries of a stick table",
  description:
    "Shows entries of a stick table with their counters and rates: one by key, those that a condition holds of "
    + "(data=http_req_rate, operator=gt, value=100), or a page. Use it to find abusive clients or why one is limited.",
  annotations: reads,
  scope: "read",
  input: { table, ...which, search: Runtime.maybe("Text in the key."), ...Field.paging(50) },
  output: {
    summary: Field.summary,
    table,
    type: Field.text("Type of its keys."),
    size: Runtime.int("Entries it may hold."),
    used,
    entries: Schema.Array(
      Schema.Struct({
        key: Field.text("Its key; a stranger may have chosen it."),
        use: Runtime.int("Sessions that use it now."),
        expires_ms: Runtime.int("Milliseconds until it is forgotten."),
        data: Schema.Record(Schema.String, Schema.String).annotate({ description: "What is stored, by name." })
      })
    ).annotate({ description: "One page." }),
    scanned: Runtime.scanned,
    ...Runtime.page
  },
  program: showTable
})

const written = { summary: Field.summary, changed: Runtime.changed, table, used, ...Field.planned }

export const stickTableSetTool = tool({
  name: "haproxy_stick_table_set",
  title: "Set a stick table entry",
  description:
    "Makes an entry of a stick table or sets numbers that it stores, such as gpc0 or gpt0, to mark, ban or pardon a "
    + "client where haproxy.cfg looks at them. Until it expires.",
  annotations: sets,
  scope: "runtime",
  input: {
    table,
    key: Field.text("Its key."),
    data: Schema.Array(
      Schema.Struct({
        name: Field.text("Such as gpc0."),
        value: Field.whole(0, 4_294_967_295, "Number.")
      })
    ).check(Schema.isBetweenLength(1, 20)).annotate({ description: "What to store." }),
    ...Field.dryRun
  },
  output: written,
  program: setTableEntry
})

export const stickTableClearTool = tool({
  name: "haproxy_stick_table_clear",
  title: "Clear stick table entries",
  description:
    "Forgets one entry of a stick table (key), those that a condition holds of (data, operator, value), or every one "
    + "(all=true), so that limits and persistence of these clients begin anew.",
  annotations: Runtime.removes,
  scope: "runtime",
  input: { table, ...which, all: Field.offUnlessSaid("Every entry."), ...Field.dryRun },
  output: written,
  program: clearTable
})
