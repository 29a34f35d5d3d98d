/**
 * One more certificate at 10,000: its file into the folder and `haproxy_load_cert` over MCP, against a peer that is
 * told of the same certificate its own way; both from the first byte written until a TLS handshake shows it. Ours is
 * durable, recorded and proved by then; theirs need not be.
 */
import * as Effect from "effect/Effect"
import { ensureProgram } from "../../scripts/debian/Catalogue.ts"
import { FetchFailure } from "../../scripts/debian/FetchFailure.ts"
import { authority, certificatesOf, freshCertificate, makeCertificateWorld, placeFile } from "../CertificateWorld.ts"
import { handshakes, untilShown } from "../Handshake.ts"
import { caddyTls } from "../peers/CaddyTls.ts"
import { nginxTls } from "../peers/NginxTls.ts"
import type { TlsPeer } from "../peers/TlsPeer.ts"
import { type Bench, duration, type Measurement, type Row, Skipped } from "../Row.ts"
import { median, ratioOf } from "../Samples.ts"
import { startServe } from "../Serve.ts"

const fetched = async (peer: TlsPeer) => {
  try {
    return await ensureProgram(peer.program)
  } catch (cause) {
    if (cause instanceof FetchFailure) throw new Skipped(`${peer.program} cannot be had: ${cause.message}`)
    throw cause
  }
}

/** Rounds of the peer, each beside some of ours: nginx reads ten thousand certificates for each. */
const roundsOf = { caddy: 4, nginx: 2 } as const

const against = (peer: TlsPeer & { readonly program: keyof typeof roundsOf }): Row => ({
  name: `certificates-against-${peer.program}`,
  title: `One more certificate until a handshake shows it, at 10k, against ${peer.program} (${peer.how})`,
  run: Effect.fnUntraced(function*(bench: Bench) {
    const count = bench.quick ? 1_000 : 10_000
    bench.say(`certificates against ${peer.program}: preparing`)
    const { path } = yield* Effect.promise(() => fetched(peer))
    const handshake = handshakes(authority.root)
    const certificates = certificatesOf(count)
    const began = performance.now()
    const other = yield* peer.start(bench, {
      program: path,
      certificates,
      shows: async (port, { names, sha1 }) => await handshake(port, names[0]!) === sha1
    })
    const otherTook = performance.now() - began
    const world = yield* makeCertificateWorld(bench, { certificates: count })
    const served = yield* startServe(bench, world, `certificates-against-${peer.program}`, undefined, {
      HAPROXY_CERT_DIR: world.folder
    })
    return yield* Effect.promise(async () => {
      bench.say(`certificates against ${peer.program}: measuring`)
      const connection = await served.connect()
      const ours = async () => {
        const certificate = freshCertificate()
        const from = performance.now()
        placeFile(world.folder, certificate)
        await served.call(connection, "haproxy_load_cert", { domain: certificate.names[0] })
        // Acknowledged means done: the very first handshake shows it.
        const shown = await handshake(world.tlsPort, certificate.names[0]!)
        const took = performance.now() - from
        if (shown !== certificate.sha1) throw new Error(`${certificate.names[0]} shows another certificate`)
        return took
      }
      const theirs = async () => {
        const certificate = freshCertificate()
        const from = performance.now()
        await other.add(certificate)
        await untilShown(handshake, other.tlsPort, certificate.names[0]!, certificate.sha1)
        return performance.now() - from
      }
      for (let warm = 0; warm < 10; warm++) await ours()
      const rounds: Array<{ readonly ours: ReadonlyArray<number>; readonly theirs: number }> = []
      for (let round = 0; round < (bench.quick ? 2 : roundsOf[peer.program]); round++) {
        const taken: Array<number> = []
        for (let turn = 0; turn < 10; turn++) taken.push(await ours())
        rounds.push({ ours: taken, theirs: await theirs() })
      }
      connection.close()
      const measurement: Measurement = {
        name: `${count / 1000}k certificates`,
        subject: duration("MCP load, shown", rounds.flatMap((round) => round.ours)),
        against: duration(peer.program, rounds.map((round) => round.theirs)),
        ratio: ratioOf(rounds.map((round) => round.theirs / median(round.ours))),
        target: { atLeast: 50 },
        details: { [`${peer.program}'s start`]: otherTook, "HAProxy's start": world.startTook }
      }
      return [measurement]
    })
  })
})

export const certificatesAgainstCaddy = against({ ...caddyTls, program: "caddy" })
export const certificatesAgainstNginx = against({ ...nginxTls, program: "nginx" })
