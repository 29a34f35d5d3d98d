/** Parameters and answer fields that several tools share, each described once. */
import * as Schema from "effect/Schema"

/** A described text. */
export const text = (description: string) => Schema.String.annotate({ description })
/** A described text or null. */
export const textOrNull = (description: string) => Schema.NullOr(Schema.String).annotate({ description })
/** A described yes or no. */
export const flag = (description: string) => Schema.Boolean.annotate({ description })
/** A described whole number that is not negative. */
export const count = (description: string) =>
  Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).annotate({ description })
/** A described whole number or null. */
export const countOrNull = (description: string) =>
  Schema.NullOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))).annotate({ description })
/** A described list of texts. */
export const texts = (description: string) => Schema.Array(Schema.String).annotate({ description })

/** A whole number within bounds, as a parameter. */
export const whole = (minimum: number, maximum: number, description: string, initial?: number) =>
  Schema.Int.check(Schema.isBetween({ minimum, maximum })).annotate({
    description,
    ...(initial === undefined ? {} : { default: initial })
  })

/** A yes-or-no parameter that is false unless said otherwise. */
export const offUnlessSaid = (description: string) =>
  Schema.optionalKey(Schema.Boolean.annotate({ description, default: false }))

/** The parameters of a list that comes in pages. */
export const paging = (initial: number) => ({
  limit: Schema.optionalKey(whole(1, 1000, "Most rows; a page may hold fewer.", initial)),
  cursor: Schema.optionalKey(text("next_cursor of the page before."))
})

/** A host name or wildcard as a parameter. The programs know its rules. */
export const domain = text("Host name such as shop.example.com, or wildcard *.example.com.")

/** A server's address as a parameter. */
export const ip = text("IPv4 or IPv6 address, no name, no port.")

/** A server's port as a parameter. */
export const httpPort = Schema.optionalKey(whole(1, 65_535, "TCP port of the server.", 80))

/** The most slots that a pool may be declared with; the programs know how many there are. */
const mostSlots = 1000

/** A slot that holds a server. */
export const usedSlot = whole(1, mostSlots, "Slot number from haproxy_list_servers.")

/** A slot to put a server into. */
export const anySlot = Schema.optionalKey(whole(0, mostSlots, "Slot; 0 takes the first free one.", 0))

/** What an operator sets; all else HAProxy observes. */
export const state = Schema.Literals(["ready", "drain", "maint"]).annotate({
  description: "drain finishes what it has; maint takes none."
})

/** A server by domain and slot or by HAProxy's names. */
export const target = {
  domain: Schema.optionalKey(text("Domain; goes with slot.")),
  slot: Schema.optionalKey(usedSlot),
  backend: Schema.optionalKey(text("HAProxy's name, such as pool_3; goes with server.")),
  server: Schema.optionalKey(text("HAProxy's name, such as pool_3_1."))
}

/** The sentence that begins every answer. */
export const summary = text("One sentence: what is so now.")

const serverFields = {
  slot: count("Slot number in its pool."),
  name: text("HAProxy's name of the server, such as pool_3_1."),
  addr: text("Address and port."),
  weight: count("Share of the traffic, 0 to 256."),
  state: Schema.Literals(["ready", "drain", "maint"]).annotate({ description: "State that was set." })
}

/** A server as the desired state has it. */
export const serverItem = Schema.Struct(serverFields)

/** Servers of a pool. */
export const servers = Schema.Array(serverItem).annotate({ description: "Servers of the pool." })

/** A server with what HAProxy says of it. */
export const serverStatus = Schema.Struct({
  ...serverFields,
  status: textOrNull("UP, DOWN, MAINT, DRAIN or no check, as HAProxy says; null while it is unreachable."),
  check_status: textOrNull("Last health check, such as L4OK; empty without checks."),
  current_sessions: countOrNull("Sessions open now.")
})

/** HAProxy's backend. */
export const backend = text("HAProxy backend that serves it, such as pool_3.")
/** The owner of a shared pool. */
export const sharesWith = textOrNull("Domain whose pool it uses; null when the pool is its own.")

/** The parameter of every tool that changes something; see program/DryRun.ts. */
export const dryRun = { dry_run: offUnlessSaid("Only plan.") }

/** The parameter of every tool that a guardrail may stop; see program/Guardrails.ts. */
export const force = { force: Schema.optionalKey(flag("Past a guardrail.")) }

/** What a dry run answers in place of the change: the answer's field of every tool that takes {@link dryRun}. */
export const planned = {
  plan: Schema.optionalKey(
    Schema.Struct({
      would_change: flag("False: there is nothing to do."),
      edits: Schema.Array(
        Schema.Struct({
          what: text("A name, a server's slot or a pool's owner."),
          before: textOrNull("As it is; null: not there."),
          after: textOrNull("As it would be; null: gone.")
        })
      ).annotate({ description: "Rows of the desired state, at most 50." }),
      edit_count: count("How many."),
      commands: texts("What HAProxy would be told, in order, at most 50."),
      command_count: count("How many."),
      files: texts("Files that would be written or deleted."),
      steps: texts("What else would be done."),
      domains: texts("Routed names that are touched, at most 50."),
      domain_count: count("How many."),
      live_sessions: countOrNull("Sessions open now on the servers concerned; null: not known.")
    }).annotate({ description: "Of a dry run." })
  )
}

/** What every write answers beside its data. The answer exists only when the change is durable and live. */
export const written = {
  changed: flag("False: it was so already, and nothing was written."),
  change_id: Schema.optionalKey(text("Id of the change, for haproxy_operation.")),
  revision: count("Revision of the desired state that holds it."),
  warnings: texts("What to look at; empty when all is well.")
}
