/**
 * Bringing a HAProxy that started without any certificate to the 1,000 of the folder: what comes after its start where
 * it does not see our folder, or saw it empty. Certificates are taken out by hand, so that rounds can follow one another
 * on the same HAProxy. Ours looks first, loads, and reads everything back; the floor sends the same bytes, pipelined on
 * a raw connection, and waits for their answers.
 */
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { startCertificatePlane } from "../CertificatePlane.ts"
import { authority, certificatesOf, makeCertificateWorld } from "../CertificateWorld.ts"
import { rawAdd, rawRemove } from "../floors/RawCertificates.ts"
import { RuntimeLinkFloor } from "../floors/RuntimeLink.ts"
import { handshakes } from "../Handshake.ts"
import { type Bench, duration, type Measurement, type Row } from "../Row.ts"
import { interleave, pool, ratioOf, timed } from "../Samples.ts"

export const certificatesRestore: Row = {
  name: "certificates-restore",
  title: "A HAProxy without certificates: back to the 1,000 of the folder",
  run: Effect.fnUntraced(function*(bench: Bench) {
    const count = bench.quick ? 200 : 1_000
    bench.say("restore certificates: preparing")
    const world = yield* makeCertificateWorld(bench, { certificates: count, elsewhere: true })
    const { haproxy, runtimeFolder, tlsPort } = world
    const certificates = certificatesOf(count)
    const last = certificates.at(-1)!
    const raws = certificates.map(({ names, text }) => ({ path: join(runtimeFolder, `${names[0]}.pem`), text }))
    const plane = yield* startCertificatePlane(world)
    const link = yield* Effect.acquireRelease(
      Effect.promise(() => RuntimeLinkFloor.connect(haproxy.site.runtimeSocket)),
      (one) => Effect.sync(() => one.close())
    )
    const handshake = handshakes(authority.root)
    const lose = () => rawRemove(link, runtimeFolder, raws.map(({ path }) => path))
    const check = async () => {
      if (await handshake(tlsPort, last.names[0]!) !== last.sha1) throw new Error("it is not there again")
    }
    bench.say("restore certificates: measuring")
    const side = (run: () => Promise<unknown>) => async () => {
      await lose()
      const took = await timed(run)
      await check()
      return took
    }
    const rounds = yield* Effect.promise(async () => {
      await plane.restore()
      await check()
      return await interleave({ rounds: bench.quick ? 2 : 5, samples: 1 }, {
        ours: side(() => plane.restore()),
        raw: side(() => rawAdd(link, runtimeFolder, raws))
      })
    })
    yield* Effect.promise(() =>
      bench.profiler.record("certificates-restore", async () => {
        for (let turn = 0; turn < 5; turn++) {
          await lose()
          await plane.restore()
        }
      })
    )
    const measurement: Measurement = {
      name: `${count} certificates`,
      subject: duration("restore", pool(rounds, "ours")),
      against: duration("raw pipelined bytes", pool(rounds, "raw")),
      ratio: ratioOf(rounds.map((round) => round.ours[0]! / round.raw[0]!)),
      target: { atMost: 2 }
    }
    return [measurement]
  })
}
