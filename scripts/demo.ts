/**
 * `npm run demo`: HAProxy, two origins, a CA and the control plane on this machine, and a tour of what an agent can do with
 * them, each step proved. Then it stays up with a cheat sheet, until Ctrl-C; with `--once` it stops and exits 0 only
 * if every step was proved. What it starts listens on 127.0.0.1 only, and is gone when it ends.
 */
import { writeFile } from "node:fs/promises"
import { delimiter, resolve } from "node:path"
import { FetchFailure } from "./debian/FetchFailure.ts"
import { ToolRefused } from "./demo/Agent.ts"
import { shop } from "./demo/Cast.ts"
import { findCertificatePrograms } from "./demo/CertificatePrograms.ts"
import { secure } from "./demo/CertificateStep.ts"
import { cheatSheet } from "./demo/CheatSheet.ts"
import { DemoFailure, NotProved } from "./demo/DemoFailure.ts"
import { type Options, readOptions, usage } from "./demo/Options.ts"
import { host, requireFreePorts } from "./demo/Ports.ts"
import { duration, makeScreen, type Screen } from "./demo/Screen.ts"
import { makeStage, type Stage } from "./demo/Stage.ts"
import { type Outcome, runSteps, summary } from "./demo/Steps.ts"
import { tour } from "./demo/Tour.ts"
import { closeWorkFolder, logTail, openWorkFolder, requireNoOtherDemo, workFolder } from "./demo/WorkFolder.ts"
import { demoHaproxy, type HaproxyBinary } from "./haproxy.ts"

const repository = resolve(import.meta.dirname, "..")

/** From the programs being at hand to the last step. Fetching them has bounds of its own. */
const tourLimit = 120_000
/** Signals within this time are one Ctrl-C: the terminal sends it to every process, and npm sends it on. */
const sameKey = 1_000

/** Ended by a signal. */
class Stopped extends Error {
  readonly code: number

  constructor(signal: NodeJS.Signals, code: number) {
    super(`stopped by ${signal}`)
    this.name = "Stopped"
    this.code = code
  }
}

/** Rejects at the first signal; a later one ends the process at once. */
const onSignals = (): Promise<never> => {
  const first = Promise.withResolvers<never>()
  first.promise.catch(() => {})
  let since: number | undefined
  for (const [signal, number] of [["SIGINT", 2], ["SIGTERM", 15], ["SIGHUP", 1]] as const) {
    process.on(signal, () => {
      if (since === undefined) {
        since = performance.now()
        first.reject(new Stopped(signal, 128 + number))
      } else if (performance.now() - since > sameKey) process.exit(128 + number)
    })
  }
  return first.promise
}

/** The machine's HAProxy, or one that is fetched. Debian keeps it out of a plain user's PATH. */
const findHaproxy = (note: (text: string) => void): Promise<HaproxyBinary> => {
  process.env["PATH"] = [process.env["PATH"], "/usr/local/sbin", "/usr/sbin"].filter(Boolean).join(delimiter)
  return demoHaproxy({
    fetching: (line, suite) => note(`fetching HAProxy ${line} from Debian ${suite} into .cache, about 20 MB`),
    fetched: (version, seconds) => note(`HAProxy ${version} is here after ${seconds.toFixed(0)} s`),
    failed: (reason) => note(`not from there: ${reason}`)
  })
}

const whereToGet =
  "Debian 13 and Ubuntu 25.04 or later have one: sudo apt install haproxy. For others: https://www.haproxy.org"

/** Why it did not go on: the message, the way out, and for what is not foreseen the logs' last lines. */
const explain = async (screen: Screen, cause: unknown, stage?: Stage): Promise<void> => {
  const say = (text: string): void => void process.stderr.write(`${text}\n`)
  screen.rest()
  if (cause instanceof Stopped) return say(cause.message)
  const error = cause instanceof Error ? cause : new Error(String(cause))
  say(`\n${screen.bad(error.message)}`)
  if (error instanceof DemoFailure) return say(error.hint)
  if (error instanceof FetchFailure) return say(`${error.hint}\n${whereToGet}`)
  const foreseen = error instanceof NotProved || error instanceof ToolRefused || error.constructor === Error
  if (!foreseen) say(screen.dim(error.stack?.split("\n").slice(1).join("\n") ?? ""))
  for (const name of stage === undefined ? [] : ["config", "haproxy", "acme", "control-plane"]) {
    const tail = await logTail(stage?.folder.log(name) ?? "", 12)
    if (tail !== undefined) say(`\n${screen.dim(tail)}`)
  }
}

/**
 * Shows the cheat sheet and stays until a signal; that is how it ends, with 0. A program that ends is started again,
 * as a service manager would: whoever watches may kill what they like.
 */
const stayUp = async (
  screen: Screen,
  stage: Stage,
  { root, sparePort }: { readonly sparePort: number; readonly root: string },
  stopped: Promise<never>
): Promise<number> => {
  const facts = {
    repository,
    mcpUrl: stage.mcpUrl,
    token: stage.token,
    httpAddress: `${host}:${stage.ports.http}`,
    node: process.execPath,
    database: stage.folder.database,
    folder: stage.folder.root,
    site: shop,
    secure: { site: secure, port: stage.ports.https, root },
    spare: { ip: host, port: sparePort }
  }
  const plain = (text: string) => text
  try {
    await writeFile(stage.folder.cheatSheet, `${cheatSheet(facts, { bold: plain, dim: plain })}\n`, { mode: 0o600 })
    screen.line(`\n${cheatSheet(facts, screen)}`)
    screen.line(`\n${screen.bold("Everything stays up. Ctrl-C stops it.")}`)
    for (;;) {
      const { message, part } = await Promise.race([stopped, stage.lost()])
      const began = performance.now()
      screen.line(`${message}; starting it again…`)
      const { name, pid } = await Promise.race([stopped, stage.restart(part)])
      screen.line(`${name} is back after ${duration(performance.now() - began)} (pid ${pid})`)
    }
  } catch (cause) {
    if (cause instanceof Stopped) {
      screen.line("\nStopping the control plane, HAProxy, the CA and the origins…")
      return 0
    }
    await explain(screen, cause, stage)
    return 1
  }
}

const codeOf = ({ cause, failed }: Outcome): number => failed === 0 ? 0 : cause instanceof Stopped ? cause.code : 1

const perform = async (options: Options, screen: Screen, stopped: Promise<never>): Promise<number> => {
  const folder = workFolder(repository)
  await requireNoOtherDemo(folder)
  const ports = await requireFreePorts(options.portOffset)
  await openWorkFolder(folder)
  const stage = makeStage(repository, ports, folder)
  const late = Promise.withResolvers<never>()
  let timer: NodeJS.Timeout | undefined
  const { close, root, spare, steps } = tour(stage, findHaproxy, async (note) => {
    const programs = await findCertificatePrograms(note)
    timer = setTimeout(() => late.reject(new Error(`not done after ${tourLimit / 1000} s`)), tourLimit)
    return programs
  })
  const lost = stage.lost().then(({ message }) => Promise.reject(new Error(message)))
  const interrupted = Promise.race([stopped, lost, late.promise])
  interrupted.catch(() => {})
  try {
    const outcome = await runSteps(steps, screen, interrupted)
    clearTimeout(timer)
    const code = codeOf(outcome)
    if (code !== 0) await explain(screen, outcome.cause, stage)
    const paint = code === 0 ? screen.good : screen.bad
    if (code === 0 && !options.once) {
      screen.line(`\n${paint(summary(outcome))}`)
      return await stayUp(screen, stage, { sparePort: spare(), root: root() }, stopped)
    }
    await stage.strike()
    screen.line(`\n${paint(summary(outcome))}`)
    return code
  } finally {
    await close().catch(() => {})
    await stage.strike()
    await closeWorkFolder(folder)
  }
}

const main = async (): Promise<number> => {
  const screen = makeScreen(process.stdout)
  const stopped = onSignals()
  try {
    const options = readOptions(process.argv.slice(2), process.env)
    if (options.help) {
      screen.line(usage)
      return 0
    }
    screen.line(screen.bold("haproxy-mcp: an agent changes HAProxy while traffic flows, without a reload"))
    screen.line()
    return await perform(options, screen, stopped)
  } catch (cause) {
    await explain(screen, cause)
    return 1
  }
}

process.exit(await main())
