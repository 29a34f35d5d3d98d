/**
 * One more certificate while 100 to 10,000 are loaded, in this process, from its PEM to the acknowledgement: checked,
 * its file durable, in HAProxy and read back, shown by a TLS handshake, its row committed. Against the Runtime API's
 * own sequence (store, content, commit, entry of the list) on a raw connection to the same HAProxy; both also until a
 * client's first handshake shows it; and, stated, against that with a durable file and a durable commit. Each is taken out again before the next.
 */
import * as Effect from "effect/Effect"
import { copyFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { startCertificatePlane } from "../CertificatePlane.ts"
import { authority, freshCertificate, makeCertificateWorld } from "../CertificateWorld.ts"
import { CertificateCommitFloor } from "../floors/CertificateCommit.ts"
import { RenameFloor } from "../floors/DurableRename.ts"
import { rawAdd, rawRemove } from "../floors/RawCertificates.ts"
import { RuntimeLinkFloor } from "../floors/RuntimeLink.ts"
import { handshakes } from "../Handshake.ts"
import { type Bench, duration, type Measurement, type Row } from "../Row.ts"
import { interleave, median, pool, ratioOf, timed } from "../Samples.ts"

const none = (): Array<number> => []

const label = (count: number) => count >= 1000 ? `${count / 1000}k certificates` : `${count} certificates`

const measureSize = Effect.fnUntraced(function*(bench: Bench, certificates: number) {
  bench.say(`add a certificate at ${label(certificates)}: preparing`)
  const world = yield* makeCertificateWorld(bench, { certificates })
  const { haproxy, runtimeFolder, tlsPort } = world
  const plane = yield* startCertificatePlane(world)
  const held = <A extends { readonly close: () => void }>(make: () => A | Promise<A>) =>
    Effect.acquireRelease(Effect.promise(async () => make()), (one) => Effect.sync(() => one.close()))
  const link = yield* held(() => RuntimeLinkFloor.connect(haproxy.site.runtimeSocket))
  const copy = join(haproxy.site.dir, "floor.db")
  copyFileSync(plane.emptyDatabase, copy)
  const commit = yield* held(() => new CertificateCommitFloor(copy))
  const sample = join(haproxy.site.dir, "floor.pem")
  writeFileSync(sample, freshCertificate().text)
  const floorFolder = join(haproxy.site.dir, "floor")
  const file = yield* held(() => new RenameFloor(floorFolder, [sample]))
  const handshake = handshakes(authority.root)
  const shown = async (name: string, sha1: string) => {
    if (await handshake(tlsPort, name) !== sha1) throw new Error(`${name} shows another certificate`)
  }
  /** Milliseconds of the round that goes on, of what is not a side of its own. */
  const parts = { file: none(), commit: none(), handshake: none(), ours: none(), raw: none(), floor: none() }

  const ours = async () => {
    const certificate = freshCertificate()
    const name = certificate.names[0]!
    const took = await timed(() => plane.install(name, certificate.text))
    parts.ours.push(took + await timed(() => shown(name, certificate.sha1)))
    await plane.remove(name)
    return took
  }
  /** The raw sequence alone; what else a careful program cannot do without is timed beside it. */
  const raw = async () => {
    const { names, sha1, text } = freshCertificate()
    const path = join(runtimeFolder, `${names[0]}.pem`)
    const took = await timed(() => rawAdd(link, runtimeFolder, [{ path, text }]))
    const shownTook = await timed(() => shown(names[0]!, sha1))
    await rawRemove(link, runtimeFolder, [path])
    const fileTook = await timed(() => file.write())
    rmSync(join(floorFolder, "floor.pem"))
    const commitTook = await timed(async () => commit.put(names[0]!, sha1))
    parts.file.push(fileTook)
    parts.commit.push(commitTook)
    parts.handshake.push(shownTook)
    parts.raw.push(took + shownTook)
    parts.floor.push(took + shownTook + fileTook + commitTook)
    return took
  }
  return yield* Effect.promise(async () => {
    await interleave({ rounds: 1, samples: certificates === 100 ? 50 : bench.quick ? 5 : 20 }, { ours, raw })
    bench.say(`add a certificate at ${label(certificates)}: measuring`)
    const rounds: Array<Readonly<Record<"install" | "sequence" | keyof typeof parts, ReadonlyArray<number>>>> = []
    for (let round = 0; round < (bench.quick ? 3 : 7); round++) {
      for (const part of Object.values(parts)) part.length = 0
      const [taken] = await interleave({ rounds: 1, samples: bench.quick ? 10 : 25 }, { ours, raw })
      const copies = Object.fromEntries(Object.entries(parts).map(([name, values]) => [name, [...values]]))
      rounds.push({ ...copies as typeof parts, install: taken!.ours, sequence: taken!.raw })
    }
    await bench.profiler.record(`certificates-add-${certificates}`, async () => {
      for (let turn = 0; turn < 200; turn++) await ours()
    })
    type Part = keyof (typeof rounds)[number]
    const compare = (
      name: string,
      [subject, what]: readonly [Part, string],
      [against, floor]: readonly [Part, string]
    ) => ({
      name: `${name}, ${label(certificates)}`,
      subject: duration(what, pool(rounds, subject)),
      against: duration(floor, pool(rounds, against)),
      ratio: ratioOf(rounds.map((round) => median(round[subject]) / median(round[against])))
    })
    const measurements: ReadonlyArray<Measurement> = [
      {
        ...compare("acknowledged", ["install", "install"], ["sequence", "raw Runtime API sequence"]),
        target: { atMost: 5 },
        details: {
          "floor's durable file": median(pool(rounds, "file")),
          "its commit": median(pool(rounds, "commit")),
          "its handshake": median(pool(rounds, "handshake"))
        }
      },
      {
        ...compare("served", ["ours", "install, handshake"], ["raw", "raw sequence, handshake"]),
        target: { atMost: 5 }
      },
      compare("acknowledged, whole", ["install", "install"], ["floor", "raw, durable file, commit, handshake"])
    ]
    return measurements
  })
})

export const certificatesAdd: Row = {
  name: "certificates-add",
  title: "One more certificate, in process, against the raw Runtime API sequence",
  run: Effect.fnUntraced(function*(bench: Bench) {
    const measurements: Array<Measurement> = []
    for (const count of bench.quick ? [100, 1_000] : [100, 1_000, 10_000]) {
      measurements.push(...yield* Effect.scoped(measureSize(bench, count)))
    }
    return measurements
  })
}
