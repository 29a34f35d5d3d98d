/**
 * What clients ask for while somebody kills: certificates issued, renewed, deleted, each on a name of its own or two on
 * the same; and what must be so once they have their answer.
 */
import { assert } from "@effect/vitest"
import { existsSync } from "node:fs"
import { join } from "node:path"
import type { PlainAnswer } from "../../support/PlainMcp.ts"
import type { Prober } from "./Prober.ts"

/** Calls a tool. */
export type Ask = (tool: string, args: Readonly<Record<string, unknown>>) => Promise<PlainAnswer>

export type Wish = "issue" | "renew" | "delete"

export interface Asked {
  readonly wish: Wish
  /** `OK`, or the code of the error. */
  readonly code: string
  /** All of an answer that is an error. */
  readonly text: string
}

/** Follows work that outlives its call to its end. */
const toItsEnd = async (ask: Ask, first: PlainAnswer): Promise<PlainAnswer> => {
  const id = first.data["operation_id"]
  if (first.code !== "OK" || typeof id !== "string") return first
  for (;;) {
    const { data, ...rest } = await ask("haproxy_operation", { operation_id: id, wait: 30 })
    if (data["status"] === "running") continue
    if (data["status"] === "done") return { ...rest, code: "OK", data: data["result"] as PlainAnswer["data"] }
    const error = data["error"] as { readonly code: string }
    return { ...rest, code: error.code, data: { error } }
  }
}

const argsOf = (wish: Wish, domain: string): readonly [tool: string, args: Readonly<Record<string, unknown>>] => {
  switch (wish) {
    case "issue":
      return ["haproxy_issue_cert", { domain, wildcard: false }]
    case "renew":
      return ["haproxy_renew_cert", { domain, force: true }]
    case "delete":
      return ["haproxy_delete_cert", { domain, force: true }]
  }
}

/** Asks, and checks what is claimed at the answer. `alone`: nobody else works on the name. */
export const wishFor = async (
  ask: Ask,
  { alone, folder, name, note, prober, wish }: {
    readonly alone: boolean
    readonly folder: string
    readonly name: string
    readonly note: string
    readonly prober: Prober
    readonly wish: Wish
  }
): Promise<Asked> => {
  // It may be gone at any moment from here on, and must not be from the answer on.
  if (wish === "delete") prober.release(name)
  const before = await prober.look(name)
  const { code, data } = await toItsEnd(ask, await ask(...argsOf(wish, name)))
  if (code !== "OK") return { wish, code, text: JSON.stringify(data) }
  const after = await prober.look(name)
  if (wish === "delete") {
    if (alone) {
      assert.property(after, "wrong", `${name} was deleted and is served ${note}`)
      assert.isFalse(existsSync(join(folder, `${name}.pem`)), `${name} was deleted and its file is there ${note}`)
    }
    return { wish, code, text: "" }
  }
  assert.property(
    after,
    "sha256",
    `${name}: ${wish} was acknowledged, and is not served ${note}: ${JSON.stringify(after)}`
  )
  if (alone && "sha256" in after) {
    assert.strictEqual(after.sha256, data["fingerprint_sha256"], `${name} shows another certificate ${note}`)
    assert.isTrue(existsSync(join(folder, `${name}.pem`)), `${name}: no file ${note}`)
    if (wish === "renew" && "sha256" in before) {
      assert.notStrictEqual(after.sha256, before.sha256, `${name}: renewed, and the same as before ${note}`)
    }
  }
  prober.watch(name)
  return { wish, code, text: "" }
}
