/**
 * `haproxy-mcp certs …`: the tools on certificates as tables or JSON, with live progress on standard error.
 *
 * What takes longer than a call may last goes on as an operation and is followed here to its end, so that the exit code
 * is that of the work: 0 done, 1 failed, 2 wrong input.
 */
import * as Effect from "effect/Effect"
import type { Sources } from "../Config.ts"
import { TimedOut } from "../domain/Errors.ts"
import type { ErrorBody } from "../domain/Errors.ts"
import type { ToolRunner } from "../mcp/ToolRunner.ts"
import type {
  CertificateItem,
  CertInfoAnswer,
  CertWriteAnswer,
  DeleteCertAnswer,
  ListCertsAnswer,
  RenewAllCertsAnswer
} from "../program/certificates/Shapes.ts"
import type { HealthAnswer } from "../program/HealthShapes.ts"
import { certDeleteText, certInfoText, certsText, certWriteText, renewAllText } from "./CertsText.ts"
import { Ended, exitCodes } from "./Exit.ts"
import type { Handlers } from "./Handlers.ts"
import { wantsColours } from "./HelpText.ts"
import { planText } from "./PlanText.ts"
import { makeProgress } from "./Progress.ts"
import { clean } from "./TextTable.ts"
import { answerOf, put, refuse, withTools } from "./Verb.ts"

/** Milliseconds that a call may wait for HAProxy. */
const patience = 30_000
/** The most rows that one question answers. */
const page = 1000
/** Seconds that one look at an operation may take: the longest that the tool allows. */
const lookFor = 45

type Tools<R> = Pick<Handlers<R>, "alone">
type Data = Record<string, unknown>

const call = (name: string, args: Data): Effect.Effect<Data, Ended, ToolRunner> =>
  Effect.flatMap(put({ name, kind: "call", args, timeout: patience }), answerOf)

const print = (json: boolean, data: unknown, text: () => string) => {
  process.stdout.write(json ? `${JSON.stringify(data, null, 2)}\n` : text())
}

const warn = (warnings: ReadonlyArray<string>) => {
  for (const text of warnings) process.stderr.write(`haproxy-mcp: ${clean(text)}\n`)
}

/** Milliseconds that HAProxy gets to say what it serves, after a control plane was started for this one command. */
const comparing = 2_000
const lookEvery = 50

/** Waits until it is known whether HAProxy serves what lies there; not for long, and not when it cannot be known. */
const compared = Effect.gen(function*() {
  for (const end = Date.now() + comparing; Date.now() < end; yield* Effect.sleep(lookEvery)) {
    const { isError, structuredContent } = yield* put({
      name: "haproxy_health",
      kind: "call",
      args: {},
      timeout: patience
    })
    if (isError) return
    const { certificates, haproxy } = (structuredContent as unknown as HealthAnswer).components
    if (certificates.status !== "unknown" || haproxy.status === "error") return
  }
})

const allCerts = Effect.fnUntraced(function*(search: string | null) {
  const found: Array<CertificateItem> = []
  let cursor: string | null = null
  do {
    const { certificates, next_cursor } = (yield* call("haproxy_list_certs", {
      limit: page,
      ...(cursor === null ? {} : { cursor }),
      ...(search === null ? {} : { search })
    })) as unknown as ListCertsAnswer
    found.push(...certificates)
    cursor = next_cursor
  } while (cursor !== null)
  return found
})

/** Prints all certificates. */
export const printCerts = Effect.fnUntraced(function*<R>(
  handlers: Tools<R>,
  sources: Sources,
  options: { readonly search: string | null; readonly json: boolean }
) {
  const found = yield* withTools(handlers, sources, Effect.andThen(compared, allCerts(options.search)))
  print(options.json, found, () => certsText(found, wantsColours(process.stdout)))
})

/** Prints one certificate. */
export const printCert = Effect.fnUntraced(function*<R>(
  handlers: Tools<R>,
  sources: Sources,
  domain: string,
  options: { readonly json: boolean }
) {
  const look = call("haproxy_cert_info", { domain }) as unknown as Effect.Effect<CertInfoAnswer, Ended, ToolRunner>
  const info = yield* withTools(handlers, sources, Effect.andThen(compared, look))
  print(options.json, info, () => certInfoText(info, wantsColours(process.stdout)))
})

interface Followed {
  readonly status: string
  readonly result: Data | null
  readonly failure: ErrorBody | null
}

/** The end of work that outlived its call. */
const follow = Effect.fnUntraced(function*(id: string, until: number, say: (message: string) => void) {
  for (;;) {
    const left = Math.floor((until - Date.now()) / 1000)
    if (left <= 0) {
      return yield* new TimedOut({
        message: `Not done within the time of --timeout: ${id} goes on where \`serve\` runs`,
        hint: "`haproxy-mcp certs list` says how it ended, and haproxy_operation follows it."
      })
    }
    say(`it takes longer than a call: following ${id}`)
    const { failure, result, status } = (yield* call("haproxy_operation", {
      operation_id: id,
      wait: Math.min(lookFor, left)
    })) as unknown as Followed
    if (failure !== null) return yield* refuse(failure)
    if (status !== "running") return result ?? {}
  }
})

export interface WorkOptions {
  readonly json: boolean
  /** Only say what would be done. Default: false. */
  readonly dryRun?: boolean
  /** Seconds. */
  readonly timeout: number
}

/** Calls a tool that may take long and answers what came of it in the end. */
const work = Effect.fnUntraced(function*<R>(
  handlers: Tools<R>,
  sources: Sources,
  name: string,
  args: Data,
  options: WorkOptions
) {
  const until = Date.now() + options.timeout * 1000
  const progress = makeProgress(process.stderr)
  const whole = Effect.gen(function*() {
    const first = yield* Effect.flatMap(
      put({
        name,
        kind: "call",
        args: { ...args, dry_run: options.dryRun === true },
        timeout: patience,
        progress: progress.report
      }),
      answerOf
    )
    const id = first["operation_id"]
    return typeof id === "string" ? yield* follow(id, until, (message) => progress.report(1, 2, message)) : first
  })
  return yield* withTools(handlers, sources, whole).pipe(Effect.onExit(() => Effect.sync(progress.end)))
})

/** Issues, renews or loads one certificate. */
export const changeCert = Effect.fnUntraced(function*<R>(
  handlers: Tools<R>,
  sources: Sources,
  tool: "haproxy_issue_cert" | "haproxy_renew_cert" | "haproxy_load_cert",
  args: Data,
  options: WorkOptions
) {
  const done = (yield* work(handlers, sources, tool, args, options)) as unknown as CertWriteAnswer
  print(options.json, done, () => options.dryRun === true ? planText(done) : certWriteText(done))
  if (!options.json) warn(done.warnings)
})

/** Renews all that is due; ends with 1 when one failed. */
export const renewAll = Effect.fnUntraced(function*<R>(handlers: Tools<R>, sources: Sources, options: WorkOptions) {
  const done =
    (yield* work(handlers, sources, "haproxy_renew_all_certs", {}, options)) as unknown as RenewAllCertsAnswer
  if (options.dryRun === true) return print(options.json, done, () => planText(done))
  print(options.json, done, () => renewAllText(done))
  if (!options.json) warn(done.warnings)
  if (done.failed.length > 0) return yield* new Ended({ code: exitCodes.failed })
})

/** Deletes one. */
export const deleteCert = Effect.fnUntraced(function*<R>(
  handlers: Tools<R>,
  sources: Sources,
  domain: string,
  options: { readonly dryRun: boolean; readonly force: boolean; readonly json: boolean }
) {
  const done = (yield* withTools(
    handlers,
    sources,
    call("haproxy_delete_cert", { domain, force: options.force, dry_run: options.dryRun })
  )) as unknown as DeleteCertAnswer
  print(options.json, done, () => options.dryRun ? planText(done) : certDeleteText(done))
  if (!options.json) warn(done.warnings)
})
