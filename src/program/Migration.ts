/**
 * Takes over what the predecessor (the Python version) left: once, at the first start with an empty database, before
 * anything else may write. Sources are its maps, its database (moved aside by store/Legacy.ts) or, without one, its
 * servers.json and certificates.json. What only HAProxy knows is taken when it first answers: TakeOver.ts.
 *
 * Guarantees: one commit, or none at all; until it is there every start does the same again. The sources stay as they
 * are, byte for byte. The report lies beside the database before the commit, so what was decided is never untold.
 * A map file with this program's own mark beside an empty database tells of a lost database: then nothing is taken, and
 * the reconciler touches nothing.
 */
import * as Effect from "effect/Effect"
import type { Disk } from "../domain/Disk.ts"
import { type ConfigInvalid, type Conflict, type FileFailure, StorageFailed } from "../domain/Errors.ts"
import type { LegacyDatabase } from "../domain/Legacy.ts"
import { ownPool } from "../domain/Pool.ts"
import { CertificateFiles } from "../haproxy/certificates/CertificateFiles.ts"
import * as DurableFile from "../haproxy/DurableFile.ts"
import { localDisk } from "../haproxy/files/LocalDisk.ts"
import * as LegacyFiles from "../haproxy/LegacyFiles.ts"
import { MapFiles } from "../haproxy/MapFiles.ts"
import * as Legacy from "../store/Legacy.ts"
import { readFar } from "../store/LegacyFetch.ts"
import { Store } from "../store/Store.ts"
import { newChangeId } from "./ChangeId.ts"
import { Limits } from "./Limits.ts"
import { takeCertificates } from "./MigrationCertificates.ts"
import { planMigration } from "./MigrationPlan.ts"
import { counted, type MigrationReport, reportText, takenText } from "./MigrationReport.ts"
import { acceptServer, migrationActor, migrationTool } from "./TakeOver.ts"

/** Where the report of a database's migration lies. */
export const reportFile = (database: string): string => `${database}.migration.txt`

const describeMap = ({ entries, file, isThere }: LegacyFiles.LegacyMap) => ({
  file,
  found: isThere ? counted(entries.length, "entry", "entries") : "not there"
})

const describeDatabase = ({ certificates, file, routes, servers }: LegacyDatabase) => ({
  file,
  found: `${counted(routes.length, "name")}, ${counted(servers.length, "server")}${
    certificates === null ? "" : `, ${counted(certificates.length, "certificate")}`
  }`
})

const write = (file: string, text: string): Effect.Effect<void, StorageFailed> =>
  Effect.tryPromise({
    try: () => DurableFile.replace(localDisk, file, [Buffer.from(text)]),
    catch: (cause) => DurableFile.storageFailed("write", file, cause)
  })

/** Where the predecessor's JSON files are. */
export interface MigrationOptions {
  readonly serversFile: string
  readonly certificatesFile: string
  /** Of the host that they are on. Default: this machine's. */
  readonly disk?: Disk
  /** Where the predecessor's database is on another host; null: beside ours. */
  readonly farDatabase?: string | null
}

const describeJson = (file: string, found: { readonly isThere: boolean; readonly what: string }) => ({
  file,
  found: found.isThere ? found.what : "not there"
})

/** Of a file that is passed over: is it there? */
const unread = (disk: Disk, file: string) =>
  Effect.promise(async () => ({
    isThere: await disk.stat(file).catch(() => null) !== null,
    what: "not read: the database is newer"
  }))

/** Reads all sources; null where there is nothing that a migration could be about. */
const readSources = Effect.fnUntraced(function*(database: string, options: MigrationOptions) {
  const { certificatesFile, disk = localDisk, farDatabase = null, serversFile } = options
  const { paths } = yield* MapFiles
  const limits = (yield* Limits).pools
  const domains = yield* LegacyFiles.readMap(disk, paths.domains)
  const wildcards = yield* LegacyFiles.readMap(disk, paths.wildcards)
  const own = [...domains.entries, ...wildcards.entries].some(({ value }) => ownPool(value, limits) !== null)
  if (own && (domains.isMarked || wildcards.isMarked)) return null
  const near = yield* Legacy.readKept(database)
  const kept = near === null && farDatabase !== null ? yield* readFar(disk, farDatabase) : near
  const json = kept === null ? yield* LegacyFiles.readServers(disk, serversFile) : null
  const tabled = kept?.certificates ?? null
  const issued = tabled === null ? yield* LegacyFiles.readCertificates(disk, certificatesFile) : null
  return {
    domains,
    wildcards,
    database: kept,
    servers: { file: kept?.file ?? serversFile, found: kept?.servers ?? json?.servers ?? [] },
    certificates: {
      file: tabled === null ? certificatesFile : kept!.file,
      found: tabled ?? issued?.domains ?? []
    },
    strange: [
      ...(json?.strange ?? []).map((what) => ({ what, from: serversFile, why: "not understood" })),
      ...(issued?.strange ?? []).map((what) => ({ what, from: certificatesFile, why: "not understood" }))
    ],
    described: [
      describeMap(domains),
      describeMap(wildcards),
      ...(kept === null ? [] : [describeDatabase(kept)]),
      describeJson(
        serversFile,
        json === null ? yield* unread(disk, serversFile) : { ...json, what: counted(json.servers.length, "server") }
      ),
      describeJson(
        certificatesFile,
        issued === null
          ? yield* unread(disk, certificatesFile)
          : { ...issued, what: counted(issued.domains.length, "certificate") }
      )
    ]
  }
})

/** Migrates where there is something to migrate. */
export const migrate = Effect.fnUntraced(function*(
  options: MigrationOptions
): Effect.fn.Return<void, ConfigInvalid | Conflict | FileFailure, Store | MapFiles | CertificateFiles | Limits> {
  const store = yield* Store
  const limits = yield* Limits
  if ((yield* store.revision) > 0) return
  const sources = yield* readSources(store.path, options)
  if (sources === null) return
  const { edits, report: planned } = planMigration(
    sources,
    {
      limits: limits.pools,
      isRegistrable: (name) => limits.suffixes.registrable(name) === name,
      accept: acceptServer(limits)
    },
    yield* store.nextSeq
  )
  const certificates = yield* takeCertificates(sources.certificates, Date.now())
  const report: MigrationReport = {
    ...planned,
    sources: sources.described,
    taken: { ...planned.taken, certificates: certificates.rows.length },
    left: [...planned.left, ...certificates.left, ...sources.strange],
    decided: [...planned.decided, ...certificates.decided]
  }
  const isEmpty = edits.length + certificates.rows.length === 0
  if (isEmpty && report.refused.length + report.left.length === 0) return
  const file = reportFile(store.path)
  yield* write(file, reportText(report, Date.now()))
  if (!isEmpty) {
    yield* store.commit(Effect.all([
      store.apply(edits),
      Effect.forEach(certificates.rows, store.putCertificate, { discard: true }),
      store.record({
        changeId: newChangeId(),
        actor: migrationActor,
        tool: migrationTool,
        summary: `Took over ${takenText(report)} from the version before`,
        edits,
        // Until HAProxy has been compared for the first time: see TakeOver.ts.
        outcome: "pending"
      })
    ], { discard: true })).pipe(
      Effect.catchTag(
        "CommitUncertain",
        (error) =>
          Effect.fail(new StorageFailed({ message: error.message, hint: "Check the disk that holds the database." }))
      )
    )
  }
  const { foreign, left, refused } = report
  yield* Effect.logInfo(`took over ${takenText(report)} from the version before`).pipe(
    Effect.annotateLogs({
      report: file,
      foreign: foreign.length,
      refused: refused.length,
      not_taken: left.length,
      decided: report.decided.length
    })
  )
})
