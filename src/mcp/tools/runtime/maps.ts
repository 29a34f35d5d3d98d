/** Tools on maps and ACLs from files, in HAProxy's memory. */
import * as Schema from "effect/Schema"
import { kinds } from "../../../program/runtime/Lists.ts"
import { listMaps, showMap } from "../../../program/runtime/Maps.ts"
import { clearMap, deleteMapEntry, replaceMap, setMapEntry } from "../../../program/runtime/MapWrites.ts"
import { reads, removes, sets, tool } from "../../Tool.ts"
import * as Field from "../fields.ts"
import * as Runtime from "./fields.ts"

const kind = Runtime.maybeOneOf(kinds, "What the list is.", "map")
const list = Field.text("File of the list, or its last part.")
const key = Field.text("Key, or pattern of an ACL.")

const written = {
  summary: Field.summary,
  changed: Runtime.changed,
  kind: Schema.Literals(kinds).annotate({ description: "What the list is." }),
  list: Field.text("Its file."),
  entries_total: Runtime.intOrNull("Entries now, as HAProxy counts; null: not known."),
  ...Field.planned
}

export const mapListTool = tool({
  name: "haproxy_map_list",
  title: "List maps and ACLs",
  description:
    "Lists the maps and ACLs that HAProxy loaded from files, with how many entries each has, and which are ours. "
    + "Use it for the exact name before haproxy_map_show or haproxy_map_set.",
  annotations: reads,
  scope: "read",
  input: {
    kind: Runtime.maybeOneOf(kinds, "Only those."),
    search: Runtime.maybe("Text in the file's path."),
    ...Field.paging(50)
  },
  output: {
    summary: Field.summary,
    lists: Schema.Array(
      Schema.Struct({
        kind: Schema.Literals(kinds).annotate({ description: "What it is." }),
        name: Field.text("Its file."),
        entries: Runtime.intOrNull("How many; null: not known."),
        ours: Field.flag("Kept by the control plane.")
      })
    ).annotate({ description: "One page." }),
    total: Runtime.total,
    ...Runtime.page
  },
  program: listMaps
})

export const mapShowTool = tool({
  name: "haproxy_map_show",
  title: "Entries of a map or ACL",
  description:
    "Shows the entries of a map or ACL in HAProxy's memory, ours too: a page, those with a text in key or value "
    + "(search), or with key what a look-up of it gets, such as the network that an address is in.",
  annotations: reads,
  scope: "read",
  input: {
    list,
    kind,
    key: Runtime.maybe("Look this up."),
    search: Runtime.search,
    ...Field.paging(100)
  },
  output: {
    summary: Field.summary,
    kind: Schema.Literals(kinds).annotate({ description: "What the list is." }),
    list: Field.text("Its file."),
    ours: Field.flag("Kept by the control plane."),
    entries: Schema.Array(Schema.Struct({ key, value: Field.textOrNull("Its value; null in an ACL.") })).annotate({
      description: "One page."
    }),
    entries_total: Runtime.intOrNull("Entries in all; null: not known."),
    scanned: Runtime.scanned,
    ...Runtime.page
  },
  program: showMap
})

export const mapSetTool = tool({
  name: "haproxy_map_set",
  title: "Add or change a map or ACL entry",
  description:
    "Adds an entry to a map or ACL, or gives a map's key another value, in memory until HAProxy's next start (edit "
    + "the file, too). Use it to block an address or path by an ACL at once. Not for our maps: haproxy_add_domain.",
  annotations: sets,
  scope: "runtime",
  input: { list, kind, key, value: Runtime.maybe("Value, in a map."), ...Field.dryRun },
  output: written,
  program: setMapEntry
})

export const mapDeleteTool = tool({
  name: "haproxy_map_delete",
  title: "Delete a map or ACL entry",
  description:
    "Removes every entry of a key from a map or ACL, in memory until HAProxy's next start. Use it to unblock what "
    + "an ACL blocks. Not for our maps: haproxy_remove_domain.",
  annotations: removes,
  scope: "runtime",
  input: { list, kind, key, ...Field.dryRun },
  output: written,
  program: deleteMapEntry
})

export const mapClearTool = tool({
  name: "haproxy_map_clear",
  title: "Empty a map or ACL",
  description:
    "Removes all entries of a map or ACL, in memory until HAProxy's next start. Not for our maps. To put others in "
    + "their place without a moment in between: haproxy_map_replace.",
  annotations: removes,
  scope: "runtime",
  input: { list, kind, ...Field.dryRun },
  output: written,
  program: clearMap
})

export const mapReplaceTool = tool({
  name: "haproxy_map_replace",
  title: "Replace a map or ACL",
  description:
    "Puts up to 1,000 entries in place of all that a map or ACL has, atomically: look-ups see the old ones until "
    + "they see all the new ones. In memory until HAProxy's next start. Not for our maps.",
  annotations: removes,
  scope: "runtime",
  input: {
    list,
    kind,
    entries: Schema.Array(Schema.Struct({ key, value: Runtime.maybe("Value, in a map.") })).check(
      Schema.isBetweenLength(0, 1_000)
    ).annotate({ description: "All entries." }),
    ...Field.dryRun
  },
  jsonText: ["entries"],
  output: written,
  program: replaceMap
})
