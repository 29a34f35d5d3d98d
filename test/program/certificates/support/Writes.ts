/** Writes of certificates that faults are put into, and the state that they are about: rows, files and HAProxy. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { ControlError } from "../../../../src/domain/Errors.ts"
import type { CertificateBundle } from "../../../../src/haproxy/certificates/Bundle.ts"
import { Certificates } from "../../../../src/program/certificates/Certificates.ts"
import type { ProgramServices } from "../../../../src/program/Services.ts"
import { Store } from "../../../../src/store/Store.ts"
import { bundleOf, makeCertificate } from "../../../support/Certificates.ts"
import { type FakeWorld, makeFakeWorld } from "../../../support/FakeWorld.ts"
import type { Step } from "../../Steps.ts"
import { compared } from "./Issuer.ts"

export type Write = Effect.Effect<{ readonly changed: boolean }, ControlError, ProgramServices>

const install = (name: string, bundle: CertificateBundle): Write =>
  Effect.flatMap(
    Certificates,
    (certificates) =>
      certificates.install({ name, bundle, source: "acme", summary: `Loaded the certificate ${name}`, renewAt: 4e12 })
  )

const [kept, old, fresh, next] = [["kept.test"], ["old.test", "*.old.test"], ["new.test"], ["old.test"]].map((names) =>
  makeCertificate(names).text
)

/** As an issue does: a row first that says so, gone again when nothing came of it. */
const issueAs = (name: string, bundle: CertificateBundle): Write =>
  Effect.gen(function*() {
    const store = yield* Store
    const row = { ...nothing, name, facts: { ...bundle.facts, sha1: "", sha256: "" } }
    yield* Effect.orDie(store.commit(store.putCertificate(row)))
    return yield* install(name, bundle).pipe(
      Effect.onError(() =>
        Effect.flatMap(Effect.orDie(store.certificate(name)), (now) =>
          now?.state === "issuing" ? Effect.orDie(store.commit(store.removeCertificate(name))) : Effect.void)
      )
    )
  })

const nothing = {
  source: "acme",
  state: "issuing",
  renewAt: null,
  nextAttempt: null,
  failures: 0,
  lastError: null
} as const

/** A write with the certificate that it brings. */
export const writeOf = (kind: string, pem: string): Write =>
  kind === "a new certificate"
    ? issueAs("new.test", bundleOf(pem))
    : kind === "another in its place"
    ? install("old.test", bundleOf(pem))
    : Effect.flatMap(Certificates, (certificates) => certificates.remove({ name: "old.test" }))

/** What each brings. */
export const pems: Readonly<Record<string, string>> = {
  "a new certificate": fresh!,
  "another in its place": next!,
  "a certificate that leaves": ""
}

/** What each is about. */
export const names: Readonly<Record<string, string>> = {
  "a new certificate": "new.test",
  "another in its place": "old.test",
  "a certificate that leaves": "old.test"
}

/** Each begins from {@link begin}: kept.test and old.test. */
export const writes: Readonly<Record<string, Write>> = Object.fromEntries(
  Object.entries(pems).map(([kind, pem]) => [kind, writeOf(kind, pem)])
)

export const writesWorld = makeFakeWorld({ pools: 1, slots: 1, certificates: true })

export const begin = (world: FakeWorld) =>
  Effect.gen(function*() {
    yield* world.startPlane
    yield* world.run(compared)
    yield* world.run(install("kept.test", bundleOf(kept!)))
    yield* world.run(install("old.test", bundleOf(old!)))
  }).pipe(Effect.orDie)

/** Files by name with their fingerprints; anything else in the folder is shown by its name. */
const filesOf = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder).sort().map((file) => {
    const text = readFileSync(join(folder, file), "utf8")
    return file.startsWith(".") ? `left over ${file}` : `${file} ${bundleOf(text).facts.sha1}`
  })

/** What HAProxy has, as the files would be; what is not as it should be stands out. */
const inHaproxy = ({ fake }: FakeWorld, folder: string): ReadonlyArray<string> => {
  const { crtList, get, paths, transaction } = fake.certificates
  const listed = crtList(folder).map(({ certificate }) => certificate).sort()
  const shown = paths.map((path) =>
    `${path.slice(folder.length + 1)} ${get(path)?.fingerprint.replaceAll(":", "") ?? "empty"}`
  )
  return [
    ...shown,
    ...(listed.join() === [...paths].sort().join() ? [] : [`listed: ${listed.join()}`]),
    ...(transaction === undefined ? [] : [`transaction: ${transaction}`])
  ]
}

/** Asserts that rows, files and HAProxy say the same; answers it. */
export const same = Effect.fnUntraced(function*(world: FakeWorld, note = "") {
  const { folder } = world.plane.certificates!
  const rows = yield* world.run(Effect.orDie(Effect.flatMap(Store, (store) => store.certificates)))
  const files = filesOf(folder)
  assert.deepStrictEqual(
    rows.map(({ facts, name, source, state }) => `${name}.pem ${facts.sha1} ${source} ${state}`),
    files.map((file) => `${file} acme active`),
    `the rows are not the files: ${note}`
  )
  assert.deepStrictEqual(inHaproxy(world, folder), files, `HAProxy is not the files: ${note}`)
  return files.join("\n")
})

/** The steps among recorded commands; the folder is taken out, since each world has its own. */
export const stepsIn = (world: FakeWorld, from: number): ReadonlyArray<Step> => {
  const seen = new Map<string, number>()
  return world.fake.commands.slice(from).flatMap(({ answer = "", text: command }) => {
    if (!command.includes(" ssl ")) return []
    const text = command.replaceAll(folderOf(world), "DIR")
    const nth = (seen.get(text) ?? 0) + 1
    seen.set(text, nth)
    return [{ text, nth, answer: answer.replaceAll(folderOf(world), "DIR") }]
  })
}

/** The folder that steps are about. */
export const folderOf = ({ plane }: FakeWorld): string => join(plane.database, "..")

/** What a write leads to when nothing goes wrong, and its steps. */
export const undisturbed = Effect.fnUntraced(function*(kind: string) {
  const world = yield* writesWorld
  yield* begin(world)
  const before = yield* same(world)
  const from = world.fake.commands.length
  yield* world.run(writes[kind]!).pipe(Effect.orDie)
  return { before, steps: stepsIn(world, from), after: yield* same(world) }
}, Effect.scoped)
