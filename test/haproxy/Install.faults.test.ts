/**
 * Every command of an install and of a removal goes wrong in every way, on FakeHaproxy: refused, lost before it ran,
 * lost after it ran, answered with nonsense, answered as done and not run. Whatever it is: a success is one, a refusal
 * leaves HAProxy as it was, and after a lost link `revert` brings that back.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CertificateBundle } from "../../src/haproxy/certificates/Bundle.ts"
import { install, revert, uninstall } from "../../src/haproxy/certificates/Install.ts"
import type { Place } from "../../src/haproxy/certificates/Place.ts"
import { localDisk } from "../../src/haproxy/files/LocalDisk.ts"
import type { LinkState, RuntimeApi } from "../../src/haproxy/RuntimeApi.ts"
import { FakeHaproxy, type FakeHaproxyShape, Fault } from "../../src/testing.ts"
import { makeBundle, makeCertificate } from "../support/Certificates.ts"
import { deadline, options } from "./CertificateHarness.ts"
import { isUp, linkState, withApi } from "./contract/Harness.ts"

const folder = "/etc/haproxy/certs"
const place: Place = { folder, list: folder, listFile: null, disk: localDisk }
const standard = makeCertificate(["first.test"])
const oldOne = makeCertificate(["old.test"])
const bundles = { old: makeBundle(["old.test"]), fresh: makeBundle(["fresh.test"]) }

const state = (fake: FakeHaproxyShape) => ({
  certificates: fake.certificates.paths.map((path) => [path, fake.certificates.get(path)?.fingerprint]),
  transaction: fake.certificates.transaction,
  list: fake.certificates.crtList(folder).map(({ certificate }) => certificate).toSorted()
})

interface Work {
  readonly name: string
  readonly file: string
  /** What the file holds before. */
  readonly before: CertificateBundle | null
  readonly run: (api: RuntimeApi["Service"]) => Effect.Effect<unknown, { readonly _tag: string }>
}

const works: ReadonlyArray<Work> = [
  {
    name: "a new certificate",
    file: "fresh.pem",
    before: null,
    run: (api) => install(api, place, "fresh.pem", bundles.fresh, options())
  },
  {
    name: "a certificate in place of another",
    file: "old.pem",
    before: bundles.old,
    run: (api) => install(api, place, "old.pem", bundles.fresh, options({ before: bundles.old }))
  },
  {
    name: "a removal",
    file: "old.pem",
    before: bundles.old,
    run: (api) => uninstall(api, place, "old.pem", deadline())
  }
]

/** A fake with two certificates, the second as {@link bundles} has it. */
const inFake = <A, E>(
  body: (fake: FakeHaproxyShape, api: RuntimeApi["Service"]) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    const paths = [`${folder}/first.pem`, `${folder}/old.pem`] as const
    const fake = yield* FakeHaproxy.make({
      certificates: { [paths[0]]: standard.text, [paths[1]]: oldOne.text },
      crtLists: { [folder]: paths },
      looseBinds: { [folder]: "haproxy.cfg:1" }
    })
    return yield* withApi(fake.address, (api) =>
      Effect.gen(function*() {
        yield* install(api, place, "old.pem", bundles.old, options())
        yield* fake.forgetCommands
        return yield* body(fake, api)
      }))
  })

type Up = Extract<LinkState, { readonly _tag: "Up" }>

const isAbout = /^\w+ ssl /

const faults = {
  refuse: () => Fault.refuse("No, not today!"),
  "drop before": () => Fault.dropBefore,
  "lose answer": () => Fault.loseAnswer,
  nonsense: () => Fault.nonsense("something else\n\n"),
  pretend: (answer: string) => Fault.pretend(answer)
}

describe("when a command goes wrong", () => {
  for (const { before, file, name, run } of works) {
    it.live(`${name} is there, or all is as it was`, () =>
      Effect.gen(function*() {
        // Once without trouble, for the commands and their answers.
        const [answers, done] = yield* inFake((fake, api) =>
          Effect.map(run(api), () =>
            [
              fake.commands.filter(({ text }) => isAbout.test(text)).map(({ answer }) => answer!),
              state(fake)
            ] as const)
        )
        assert.isAbove(answers.length, 4)
        const ends = new Map<string, number>()
        for (const [kind, make] of Object.entries(faults)) {
          for (const [nth, answer] of answers.entries()) {
            yield* inFake((fake, api) =>
              Effect.gen(function*() {
                const was = state(fake)
                const link = yield* api.link
                const first = isUp(link) ? link.connection : 0
                const injected = yield* fake.inject(isAbout, make(answer), { nth: nth + 1 })
                const exit = yield* Effect.exit(run(api))
                assert.strictEqual(injected.hits, 1)
                const where = `${kind} at command ${nth + 1} of ${name}`
                if (Exit.isSuccess(exit)) {
                  assert.deepStrictEqual(state(fake), done, where)
                  ends.set("done", (ends.get("done") ?? 0) + 1)
                  return
                }
                const error = yield* Effect.flip(Effect.asVoid(Effect.suspend(() => exit)))
                ends.set(error._tag, (ends.get(error._tag) ?? 0) + 1)
                if (error._tag === "LinkLost") {
                  yield* linkState(api, (now): now is Up => isUp(now) && now.connection > first)
                  yield* revert(api, place, file, before, deadline())
                } else if (name === "a removal" && state(fake).certificates.length < was.certificates.length) {
                  // Gone without a word that says so: only its file has it now.
                  yield* revert(api, place, file, before, deadline())
                }
                assert.deepStrictEqual(state(fake), was, where)
              })
            )
          }
        }
        assert.isAbove(ends.get("LinkLost") ?? 0, 0)
        assert.isAbove(ends.get("HaproxyRefused") ?? 0, 0)
      }), 60_000)
  }

  it.live("a default certificate stays, with a word on strict-sni", () =>
    inFake((fake, api) =>
      Effect.gen(function*() {
        const was = state(fake)
        const error = yield* Effect.flip(uninstall(api, place, "first.pem", deadline()))
        assert.include((error as { readonly hint: string }).hint, "strict-sni")
        assert.deepStrictEqual(state(fake), was)
      })
    ))
})
