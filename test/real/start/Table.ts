/**
 * What a start must come to, by hand: for each state of the remote host and of the local database. HAProxy has no say in
 * which database goes on; it is brought to it when it runs.
 */

/** Contents, by the domains in them: each has those of the one before. `new`: none. `diverged`: `behind`, and one that the others lack. */
export const contents = {
  new: [],
  behind: ["a.example.com"],
  older: ["a.example.com", "b.example.com"],
  newest: ["a.example.com", "b.example.com", "c.example.com"],
  ahead: ["a.example.com", "b.example.com", "c.example.com", "d.example.com"],
  diverged: ["a.example.com", "z.example.com"]
} as const

export type Content = keyof typeof contents

export const remotes = ["up", "down", "hung", "wrong key", "empty", "newest corrupt", "all corrupt"] as const
/** `unsent`: it went on in strict mode from the first content, beside others, and nothing of that ever left. */
export const locals = ["none", "equal", "ahead", "behind", "diverged", "unsent", "corrupt"] as const
/** `old`: it runs, from files of an older state. */
export const haproxies = ["up", "down", "old"] as const

export type RemoteState = (typeof remotes)[number]
export type LocalState = (typeof locals)[number]
export type HaproxyState = (typeof haproxies)[number]

/** It writes, and goes on from a content; or it only reads, and refuses writes with a code. */
export type Expected =
  | { readonly writes: Content }
  | { readonly refuses: "REMOTE_UNREACHABLE" | "FENCED" | "STORAGE_FAILED" | "CONFIG_INVALID" }

const from = (writes: Content): Expected => ({ writes })
const unreachable: Expected = { refuses: "REMOTE_UNREACHABLE" }
const fenced: Expected = { refuses: "FENCED" }
const lost: Expected = { refuses: "STORAGE_FAILED" }

/** Nobody knows which is the newest while the remote does not answer: whatever lies here, nothing is written. */
const unknown: Readonly<Record<LocalState, Expected>> = {
  none: unreachable,
  equal: unreachable,
  ahead: unreachable,
  behind: unreachable,
  diverged: unreachable,
  unsent: unreachable,
  corrupt: unreachable
}

const table: Readonly<Record<RemoteState, Readonly<Record<LocalState, Expected>>>> = {
  up: {
    none: from("newest"),
    equal: from("newest"),
    // It holds all of the remote's: what only it has was never lost, and is published.
    ahead: from("ahead"),
    behind: from("newest"),
    // Two wrote; an operator decides which one goes on.
    diverged: fenced,
    // Nobody was told of what only it has, and the remote holds all that anybody was: it is put aside.
    unsent: from("newest"),
    corrupt: from("newest")
  },
  down: unknown,
  hung: unknown,
  "wrong key": unknown,
  empty: {
    none: from("new"),
    // These were published once, so an empty remote is a loss or a wrong path, never a beginning.
    equal: fenced,
    ahead: fenced,
    behind: fenced,
    diverged: fenced,
    unsent: fenced,
    corrupt: lost
  },
  "newest corrupt": {
    none: from("older"),
    equal: from("newest"),
    ahead: from("ahead"),
    behind: from("older"),
    diverged: fenced,
    unsent: fenced,
    corrupt: from("older")
  },
  "all corrupt": {
    none: lost,
    // The manifests say that it holds all that was there.
    equal: from("newest"),
    ahead: from("ahead"),
    behind: fenced,
    diverged: fenced,
    unsent: fenced,
    corrupt: lost
  }
}

/** What HAProxy is like says nothing new there. */
export const isAsked = (haproxy: HaproxyState, local: LocalState): boolean => local !== "unsent" || haproxy === "up"

/** Of one cell. */
export const expectedOf = (remote: RemoteState, haproxy: HaproxyState, local: LocalState): Expected => {
  // Nothing is known anywhere, yet HAProxy runs entries of our pools: they are not thrown away, an operator takes them over.
  if (remote === "empty" && local === "none" && haproxy !== "down") return { refuses: "CONFIG_INVALID" }
  return table[remote][local]
}
